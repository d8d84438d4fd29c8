// Files of text within a message: quoted under their names, so that every model reads them.

const QUOTED = /^File "([^"\n]{1,300})":\n\n(`{3,})[^\n]*\n([\s\S]*?)\n?\2\s*$/;

/** The text part of a message that quotes a file. */
export function quoteFile(name, text) {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `File "${name.replaceAll('"', "'").replace(/\s+/g, " ").slice(0, 300)}":\n\n${fence}\n${text}\n${fence}`;
}

/** The `{ name, text }` that a text part quotes, or null. */
export function quotedFile(part) {
  const found = part.startsWith('File "') ? QUOTED.exec(part) : null;
  return found && { name: found[1], text: found[3] };
}
