// The little that is needed to build a page and to keep it: elements from plain values, and a way to change
// what is there without replacing it, so that focus, selection and open parts stay where they are.

/** An element. Text is text: nothing that a server says becomes markup. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
  return node;
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** Makes the children of a node these, and touches only what differs. */
export function put(parent, ...children) {
  const fresh = children.flat(Infinity).filter((child) => child !== undefined && child !== null)
    .map((child) => (typeof child === "string" ? document.createTextNode(child) : child));
  fresh.forEach((child, index) => {
    const old = parent.childNodes[index];
    if (!old) parent.append(child);
    else if (!isLike(old, child)) old.replaceWith(child);
    else if (old.nodeType === Node.TEXT_NODE) setText(old, child.data);
    else {
      copyAttributes(old, child);
      put(old, ...child.childNodes);
    }
  });
  while (parent.childNodes.length > fresh.length) parent.lastChild.remove();
}

/** What is called differently is something else, and is replaced as a whole. */
const isLike = (old, fresh) => old.nodeName === fresh.nodeName && old.dataset?.key === fresh.dataset?.key;

/** Text that has not changed is left alone, so that it is not read out again. */
function setText(node, text) {
  if (node.data !== text) node.data = text;
}

function copyAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // What somebody has opened stays open.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value) continue;
    // The page's policy lets no attribute bring styles.
    if (name === "style") old.style.cssText = fresh.style.cssText;
    else old.setAttribute(name, value);
  }
}
