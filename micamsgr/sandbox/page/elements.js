/**
 * What the page is made of.  Whatever anybody wrote becomes text, never markup.
 */

/** Find an element by its ID. */
export const find = (id) => document.getElementById(id);

/**
 * Make an element.
 *
 * @param {string} name
 * @param {Object<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Make an icon; the name of one of the page's symbols. */
export function icon(name, classes = "") {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("aria-hidden", "true");
  if (classes) svg.setAttribute("class", classes);
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Spell a time of day. */
export const clock = (at) =>
  new Date(at * 1000).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });

const NOTICE = 6; // seconds for which a notice is seen
let noticeEnds = 0;

/** Say something, to the eye and to the ear. */
export function announce(text) {
  clearTimeout(noticeEnds);
  const place = find("announcer");
  place.textContent = "";
  // What is put there anew is read aloud again.
  requestAnimationFrame(() => { place.textContent = text; });
  noticeEnds = setTimeout(() => { place.textContent = ""; }, NOTICE * 1000);
}
