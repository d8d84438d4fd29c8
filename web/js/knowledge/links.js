// Addresses of documents and of places in them.

/** The path of the page for a document, or for the place in it that a citation or a hit names. */
export function documentPath({ document_id, page, chunk_id, start, end }) {
  const place = new URLSearchParams();
  for (const [name, value] of Object.entries({ page, chunk: chunk_id, start, end })) {
    if (value !== null && value !== undefined && value !== "") place.set(name, value);
  }
  return `/knowledge/documents/${encodeURIComponent(document_id)}${place.size ? `?${place}` : ""}`;
}

/** The path of the page for a collection. */
export function collectionPath(id) {
  return `/knowledge/collections/${encodeURIComponent(id)}`;
}
