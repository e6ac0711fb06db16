/**
 * Lists that grow at their end, and stay there unless one reads further up.
 */

import { element, icon } from "./elements.js";

const NEAR = 60; // pixels from the end that still count as there

/** A scrolled list. */
export class Reading {
  /**
   * @param {HTMLElement} list
   * @param {string} label names the button that leads to its end
   */
  constructor(list, label) {
    this.list = list;
    this.button = element("button", { class: "down", type: "button", "aria-label": label }, icon("down"));
    this.button.hidden = true;
    this.atEnd = true;
    this.top = 0; // where the list was scrolled to when it was last looked at
    list.addEventListener("scroll", () => this.look(), { passive: true });
    this.button.addEventListener("click", () => {
      this.toEnd();
      list.focus({ preventScroll: true });
    });
    this.frame = element("div", { class: "reading" });
    list.replaceWith(this.frame);
    this.frame.append(list, this.button);
    // A keyboard that opens, a phone that is turned, a composer that grows.
    new ResizeObserver(() => this.keep()).observe(list);
  }

  /** See whether one is at the end: only by scrolling up does one leave it. */
  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.atEnd = true;
    else if (scrollTop < this.top) this.atEnd = false;
    this.top = scrollTop;
    this.button.hidden = this.atEnd;
    if (this.atEnd) this.button.classList.remove("news");
  }

  /** Stay at the end, where one was there. */
  keep() {
    if (this.atEnd) this.toEnd();
  }

  /** Go on with what is new: stay at the end, or tell that there is something. */
  grow() {
    if (!this.atEnd) this.button.classList.add("news");
    this.keep();
  }

  toEnd() {
    this.atEnd = true;
    this.list.scrollTop = this.list.scrollHeight;
    this.look();
  }
}
