// HTML that the server made out of Markdown: the only HTML that this page reads.

const policy = window.trustedTypes?.createPolicy("aimate", { createHTML: (html) => html });
/** What the server's renderer makes, and no more: a second look, should the first one fail. */
const ELEMENTS = new Set(
  ("p h1 h2 h3 h4 h5 h6 blockquote ul ol li pre code em strong del hr br a span table thead tbody tr th td input sup section div " +
    "math merror mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mpadded mphantom mstyle").split(" "),
);
const ADDRESSES = /^(https?:|mailto:|#fn)/i;

/** The nodes of `html`, a text of `POST /markdown` or of a field `html`. */
export function rendered(html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  for (const node of template.content.querySelectorAll("*")) {
    // The pieces of highlighted code: a hundred thousand in a long block.
    if (node.localName === "span" && node.attributes.length === 1 && node.className) continue;
    if (!ELEMENTS.has(node.localName)) {
      node.replaceWith(document.createTextNode(node.textContent));
      continue;
    }
    for (const { name, value } of [...node.attributes]) {
      const isSafe = name === "href" ? ADDRESSES.test(value) : !name.startsWith("on") && !["src", "style", "action", "formaction", "srcset", "xlink:href"].includes(name);
      if (!isSafe) node.removeAttribute(name);
    }
  }
  return template.content;
}
