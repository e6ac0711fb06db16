/**
 * One person's chat, as Messenger shows it.
 *
 * @typedef {{mid: string, by: "person" | "bot" | "human", text: string,
 *            at: number, mark: "sent" | "delivered" | "seen"}} Bubble
 * @typedef {{psid: string, name: string, bot: string, typing: boolean,
 *            bubbles: Bubble[]}} Person
 */

import { clock, element, icon } from "./elements.js";
import { Reading } from "./reading.js";
import { act } from "./server.js";

const PAUSE = 5 * 60; // seconds of silence after which a time is shown
const TOGETHER = 60; // seconds within which bubbles belong together
const TYPING = 20; // seconds for which Messenger shows the dots
const MARKS = { sent: "Sent", delivered: "Delivered", seen: "Seen" };
const GET_STARTED = { title: "Get Started", payload: "GET_STARTED" };

/** One person's chat. */
export class Chat {
  /**
   * @param {Person} person
   * @param {number} number of those who were there before
   * @param {function(string)} view told whose chat is to be seen
   */
  constructor(person, number, view) {
    this.psid = person.psid;
    this.name = person.name;
    this.number = number;
    this.bot = person.bot;
    /** @type {Map<string, {bubble: Bubble, item: HTMLElement}>} */
    this.shown = new Map();
    this.last = null;
    this.dotsEnd = 0;
    this.suggestions = [];
    this.build(view);
  }

  /**
   * Show what is known of the person now; what one was writing stays.
   *
   * @param {Person} person @param {string[]} suggestions
   */
  renew(person, suggestions) {
    for (const bubble of person.bubbles) {
      this.add(bubble, false);
      if (bubble.by === "person") this.mark(bubble.mid, bubble.mark);
    }
    this.type(person.typing);
    this.suggestions = suggestions;
    this.chips.replaceChildren();
    this.suggest();
  }

  /** Whether this is a person, told anew. @param {?Person} person */
  is(person) {
    const { psid, name, bot } = person ?? {};
    return psid === this.psid && name === this.name && bot === this.bot;
  }

  avatar(small = false) {
    const classes = `avatar p${this.number % 6}${small ? " small" : ""}`;
    return element("span", { class: classes, "aria-hidden": "true" }, this.name[0]);
  }

  build(view) {
    this.intro = element("li", { class: "intro" },
      icon("mica"),
      element("h3", {}, this.bot),
      element("p", {}, `You are ${this.name}, and this is your chat with the Page of ${this.bot}. All of it is real but Messenger itself.`));
    this.receipt = element("li", { class: "receipt", "aria-hidden": "true" });
    this.dots = element("li", { class: "typing" },
      icon("mica", "face"),
      element("span", { class: "hidden" }, `${this.bot} is typing`),
      element("span", { class: "dots", "aria-hidden": "true" }, element("i"), element("i"), element("i")));
    this.receipt.hidden = this.dots.hidden = true;
    this.list = element("ol", {}, this.intro, this.receipt, this.dots);
    this.reading = new Reading(element("div", {
      class: "bubbles", role: "log", "aria-live": "polite", tabindex: "0",
      "aria-label": `Messages between ${this.name} and ${this.bot}`,
    }, this.list), `To ${this.name}’s last message`);
    this.chips = element("div", { class: "chips", role: "group", "aria-label": `Suggestions for ${this.name}` });
    this.text = element("textarea", {
      rows: "1", maxlength: "2000", placeholder: "Aa", enterkeyhint: "send", autocomplete: "off", dir: "auto",
      "aria-label": `Message from ${this.name}; Enter sends it`,
    });
    this.form = element("form", { class: "composer" },
      this.text,
      element("button", { class: "send", type: "submit", "aria-label": `Send as ${this.name}` }, icon("send")));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.say();
      }
    });
    this.section = element("section", { class: "chat", "data-psid": this.psid, "aria-label": `${this.name}’s chat` },
      element("header", { class: "chat-head" },
        this.avatar(),
        element("div", {}, element("h2", {}, this.name), element("p", {}, `chats with ${this.bot}`))),
      this.reading.frame, this.chips, this.form);
    this.tab = element("button", { type: "button" }, this.avatar(true), this.name);
    this.tab.addEventListener("click", () => view(this.psid));
  }

  async say() {
    const text = this.text.value;
    if (!text.trim()) return;
    this.text.value = "";
    if (!(await act("say", { psid: this.psid, text }))) this.text.value ||= text;
  }

  /** Show a bubble. @param {Bubble} bubble */
  add(bubble, live = true) {
    if (this.shown.has(bubble.mid)) return;
    const before = this.last;
    this.intro.remove();
    if (!before || bubble.at - before.bubble.at > PAUSE) {
      this.list.insertBefore(element("li", { class: "when" }, clock(bubble.at)), this.receipt);
    }
    const who = { person: this.name, bot: this.bot, human: "A human of the Page’s staff" }[bubble.by];
    const item = element("li", { class: `bubble ${bubble.by}`, "data-by": bubble.by, title: clock(bubble.at) });
    if (before?.bubble.by === bubble.by && bubble.at - before.bubble.at < TOGETHER) {
      before.item.classList.add("more");
      item.classList.add("next");
    }
    if (bubble.by === "human") item.append(element("span", { class: "from", "aria-hidden": "true" }, who));
    item.append(element("span", { class: "hidden" }, `${who}: `), element("p", {}, bubble.text));
    if (bubble.by === "bot") item.append(icon("mica", "face"));
    if (bubble.by === "human") item.append(icon("human", "face staff"));
    if (bubble.by === "person") item.append(element("span", { class: "mark", role: "img" }));
    this.list.insertBefore(item, this.receipt);
    this.last = { bubble, item };
    this.shown.set(bubble.mid, this.last);
    if (bubble.by === "person") this.mark(bubble.mid, bubble.mark);
    else this.type(false);
    this.receipt.hidden = bubble.by !== "person";
    this.suggest();
    if (bubble.by === "person") this.reading.toEnd();
    else this.reading.grow();
    if (live && bubble.by !== "person" && !this.section.checkVisibility()) this.news(true);
  }

  /** Tell in the tab whether there is something new. */
  news(there) {
    this.tab.classList.toggle("news", there);
    this.tab.setAttribute("aria-label", there ? `${this.name}, something new` : this.name);
  }

  /** Show what became of a message of the person's. */
  mark(mid, mark) {
    const shown = this.shown.get(mid);
    if (!shown) return;
    const place = shown.item.querySelector(".mark");
    // No text: what is put into a log is read aloud.
    place.replaceChildren(icon(mark === "seen" ? "mica" : mark));
    place.setAttribute("aria-label", MARKS[mark]);
    place.title = MARKS[mark];
    shown.item.dataset.mark = mark;
    if (shown === this.last) this.receipt.textContent = MARKS[mark];
  }

  /** Show the dots, or take them away. */
  type(typing) {
    clearTimeout(this.dotsEnd);
    this.dots.hidden = !typing;
    if (typing) this.dotsEnd = setTimeout(() => this.type(false), TYPING * 1000);
    this.reading.keep();
  }

  /** Offer what may be said now. */
  suggest() {
    const waits = this.last?.bubble.by === "person";
    const held = this.chips.contains(document.activeElement);
    this.chips.hidden = waits;
    if (held && waits) this.text.focus();
    if (!this.last) {
      const start = element("button", { type: "button", class: "start" }, GET_STARTED.title);
      start.addEventListener("click", () => act("tap", { psid: this.psid, ...GET_STARTED }));
      this.chips.replaceChildren(start);
    } else if (!waits && !this.chips.querySelector(".chip")) {
      this.chips.replaceChildren(...this.suggestions.map((text) => {
        const chip = element("button", { type: "button", class: "chip" }, text);
        const payload = text.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
        chip.addEventListener("click", () => act("say", { psid: this.psid, text, payload }));
        return chip;
      }));
    }
  }
}
