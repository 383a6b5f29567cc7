// One polite and one assertive live region for the whole page. Text is put in
// a fresh element, so that the same words twice are read twice.
const regions = new Map<'polite' | 'assertive', HTMLElement>();

function region(how: 'polite' | 'assertive'): HTMLElement {
  let el = regions.get(how);
  if (!el) {
    el = document.createElement('div');
    el.className = 'visually-hidden';
    el.setAttribute('aria-live', how);
    if (how === 'assertive') el.setAttribute('role', 'alert');
    else el.setAttribute('role', 'status');
    document.body.append(el);
    regions.set(how, el);
  }
  return el;
}

export function announce(text: string, how: 'polite' | 'assertive' = 'polite') {
  const line = document.createElement('p');
  line.textContent = text;
  region(how).replaceChildren(line);
}
