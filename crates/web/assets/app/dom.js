// Building and updating elements. Text only ever enters the page through
// textContent and attributes: nothing here can turn data into markup.

const SVG = 'http://www.w3.org/2000/svg';

/** The element with this id; a missing one is a mistake in index.html. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element;
}

/**
 * Makes an element. `props`: `class`, `text`, `on` (event listeners), or any
 * attribute; `false`, `null` and `undefined` leave an attribute out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'text') element.textContent = value;
    else if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of the sprite in index.html, invisible to screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Sets the text only when it differs, so that live regions stay quiet. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a text in a notice or error line, or hides the line when empty. */
export function showText(element, text) {
  setText(element, text ?? '');
  element.hidden = !text;
}

const rendered = new WeakMap();

/**
 * Makes the children of `parent` the given items, touching as little as
 * possible: a node stays while its item's `key` and `sig` stay.
 *
 * @param {Element} parent
 * @param {{key: string, sig: string, build: () => Element}[]} items
 */
export function reconcile(parent, items) {
  const before = rendered.get(parent) ?? new Map();
  const after = new Map();
  const focused = keyOfFocus(parent, before);
  for (const item of items) {
    const known = before.get(item.key);
    const keep = known !== undefined && known.sig === item.sig;
    after.set(item.key, { sig: item.sig, node: keep ? known.node : item.build() });
  }
  for (const [key, { node }] of before) {
    if (after.get(key)?.node !== node) node.remove();
  }
  let cursor = parent.firstChild;
  for (const { node } of after.values()) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  rendered.set(parent, after);
  if (focused !== null && !parent.contains(document.activeElement)) {
    after.get(focused)?.node.querySelector('a, button')?.focus({ preventScroll: true });
  }
}

function keyOfFocus(parent, nodes) {
  if (!parent.contains(document.activeElement)) return null;
  for (const [key, { node }] of nodes) {
    if (node.contains(document.activeElement)) return key;
  }
  return null;
}

/** A round picture made of the first letter of a name. */
export function avatar(name, id, extra = '') {
  return h('span', { class: `avatar hue-${hue(id)} ${extra}`, 'aria-hidden': 'true', text: initial(name) });
}

function initial(name) {
  const first = [...name.replace(/^[@#!\s]+/u, '')][0];
  return (first ?? '?').toLocaleUpperCase();
}

function hue(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % 8191;
  return sum % 8;
}

/** A name somebody chose, fenced off so that its direction cannot spill. */
export function nameNode(text, className = 'name') {
  return h('bdi', { class: className, text });
}
