/**
 * What happens, line by line, and the stations at which it does.
 *
 * @typedef {{station: string, title: string, detail: string, tone: string,
 *            psid: ?string, at: number, since: ?number, begins: boolean}} Line
 */

import { clock, element, find, icon } from "./elements.js";
import { Reading } from "./reading.js";

const MOST_LINES = 300;

export const story = {
  list: find("told"),
  reading: new Reading(find("lines"), "To the last line"),

  /** @param {Line} line @param {?Chat} chat whom it is about */
  add(line, chat, live = true) {
    if (line.psid) find("nothing").hidden = true;
    const since = line.since === null ? clock(line.at) : span(line.since);
    const item = element("li", { class: "line", "data-station": line.station, "data-tone": line.tone },
      element("time", { title: new Date(line.at * 1000).toLocaleTimeString() }, since),
      element("span", { class: "icon" }, icon(line.station)),
      element("div", {}, element("b", {}, line.title)));
    if (line.detail) item.children[2].append(element("small", {}, line.detail));
    if (chat) {
      item.append(chat.avatar(true), element("span", { class: "hidden" }, chat.name));
      if (line.begins) item.classList.add("begins");
    }
    this.list.append(item);
    while (this.list.children.length > MOST_LINES) this.list.firstChild.remove();
    this.reading.grow();
    this.light(line, live);
  },

  /** Light up the station at which something happens. */
  light(line, live) {
    const stations = find("stations");
    if (line.begins) this.darken();
    const station = { human: "person", daemon: "webhook" }[line.station] ?? line.station;
    const item = stations.querySelector(`[data-station="${station}"]`);
    item.dataset.tone = line.tone;
    item.classList.remove("pulse");
    if (!live) return;
    void item.offsetWidth; // so that the animation begins anew
    item.classList.add("pulse");
  },

  darken() {
    for (const item of find("stations").children) delete item.dataset.tone;
  },

  clear() {
    this.list.replaceChildren();
    this.darken();
    find("nothing").hidden = false;
  },
};

/** Spell a span of time. */
function span(seconds) {
  if (seconds < 0.9995) return `+${Math.round(seconds * 1000)} ms`;
  return seconds < 100 ? `+${seconds.toFixed(2)} s` : `+${Math.round(seconds)} s`;
}
