// What all forms and dialogs of the page have in common.

import { explain } from '../api.js';
import { showText } from '../dom.js';

/** A mistake in what was typed, with the field to put right. */
export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/**
 * Runs `act` when the form is submitted, once at a time, with its button busy
 * and its failure explained in `error`.
 */
export function onSubmit(form, error, act) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (form.getAttribute('aria-busy') === 'true') return;
    const button = form.querySelector('[type="submit"]');
    clearErrors(form, error);
    form.setAttribute('aria-busy', 'true');
    button.setAttribute('aria-disabled', 'true');
    try {
      await act();
    } catch (failure) {
      if (failure instanceof FieldError) {
        failure.field.setAttribute('aria-invalid', 'true');
        failure.field.focus();
        showText(error, failure.message);
      } else showText(error, explain(failure));
    } finally {
      form.removeAttribute('aria-busy');
      button.removeAttribute('aria-disabled');
    }
  });
  form.addEventListener('input', () => clearErrors(form, error));
}

function clearErrors(form, error) {
  showText(error, '');
  for (const field of form.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
}

/** The text of a field; a FieldError with `message` when it is empty. */
export function required(field, message) {
  const value = field.value.trim();
  if (!value) throw new FieldError(field, message);
  return value;
}

/** Makes a dialog closable by its buttons and by a click beside it. */
export function prepareDialog(dialog) {
  for (const button of dialog.querySelectorAll('[data-close]')) {
    button.addEventListener('click', () => dialog.close());
  }
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
}

/** Opens a dialog with its fields empty and the focus in `first`. */
export function openDialog(dialog, first) {
  for (const form of dialog.querySelectorAll('form')) form.reset();
  for (const line of dialog.querySelectorAll('.error, .notice')) showText(line, '');
  dialog.showModal();
  first?.focus();
}

/** Turns `bob`, `@bob` or `@bob:server` into a full Matrix ID, or null. */
export function userIdOf(text, server) {
  const id = text.trim().replace(/^@/, '');
  if (!id || /\s/.test(id)) return null;
  return id.includes(':') ? `@${id}` : `@${id.toLowerCase()}:${server}`;
}

/** Turns `kitchen`, `#kitchen`, `#kitchen:server` or `!id` into what can be joined. */
export function roomAddressOf(text, server) {
  const given = text.trim();
  const inLink = given.match(/#\/room\/([^/]+)/);
  if (inLink) return decodeURIComponent(inLink[1]);
  if (given.startsWith('!')) return given;
  const alias = given.replace(/^#/, '');
  return alias.includes(':') ? `#${alias}` : `#${alias}:${server}`;
}
