// Words, dates and links.

const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const fullDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

// Timestamps come from other people's servers: any number may be in them.
const LATEST = 8.64e15;

function dateOf(timestampMs) {
  const usable = Number.isFinite(timestampMs) && Math.abs(timestampMs) <= LATEST;
  return new Date(usable ? timestampMs : 0);
}

export const clock = (timestampMs) => timeOfDay.format(dateOf(timestampMs));
export const exactTime = (timestampMs) => moment.format(dateOf(timestampMs));
export const isoTime = (timestampMs) => dateOf(timestampMs).toISOString();
export const dayKey = (timestampMs) => dateOf(timestampMs).toDateString();

/** 'Today', 'Yesterday' or the date in full. */
export function dayLabel(timestampMs, now = Date.now()) {
  const key = dayKey(timestampMs);
  if (key === dayKey(now)) return 'Today';
  if (key === dayKey(now - 86_400_000)) return 'Yesterday';
  return fullDay.format(dateOf(timestampMs));
}

/** The shortest useful time, for the room list. */
export function shortTime(timestampMs, now = Date.now()) {
  const age = now - timestampMs;
  if (dayKey(timestampMs) === dayKey(now)) return clock(timestampMs);
  if (age < 6 * 86_400_000) return weekday.format(dateOf(timestampMs));
  return dayMonth.format(dateOf(timestampMs));
}

/** '3 minutes', 'an hour', for 'last seen … ago'. */
export function duration(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'a moment';
  if (minutes < 60) return minutes === 1 ? 'a minute' : `${minutes} minutes`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return hours === 1 ? 'an hour' : `${hours} hours`;
  const days = Math.floor(hours / 24);
  return days === 1 ? 'a day' : `${days} days`;
}

/** 'Ann', 'Ann and Bob', 'Ann, Bob and 3 others'; `total` counts the unnamed too. */
export function listNames(names, most = 2, total = names.length) {
  const shown = names.slice(0, most);
  const rest = Math.max(total, names.length) - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${plural(rest, 'other', 'others')}`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** Text on one line without control or direction-changing characters. */
export function plain(text, most = 200) {
  if (typeof text !== 'string') return '';
  const clean = text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim();
  return clean.length > most ? `${[...clean].slice(0, most).join('')}…` : clean;
}

export const localpart = (id) => id.replace(/^[@#]/, '').split(':')[0] || id;
export const serverOf = (id) => id.slice(id.indexOf(':') + 1);

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;

/** Splits a text into strings and `{href, text}` for the web links in it. */
export function linkify(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const shown = match[0].replace(/[.,;:!?)\]}]+$/u, '');
    const href = webAddress(shown);
    if (href === null) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push({ href, text: shown });
    end = match.index + shown.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}
