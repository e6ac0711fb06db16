/**
 * The sandbox's page.
 *
 * What is to be seen comes by Server-Sent Events, and what one does goes by
 * POST; nothing is shown before the server has told of it.  Whatever anybody
 * wrote becomes text, never markup.
 *
 * @typedef {{mid: string, by: "person" | "bot" | "human", text: string,
 *            at: number, mark: "sent" | "delivered" | "seen"}} Bubble
 * @typedef {{psid: string, name: string, bot: string, typing: boolean,
 *            bubbles: Bubble[]}} Person
 * @typedef {{station: string, title: string, detail: string, tone: string,
 *            psid: ?string, at: number, since: ?number}} Line
 */

const MOST_LINES = 300;
const PAUSE = 5 * 60; // seconds of silence after which a time is shown
const TOGETHER = 60; // seconds within which bubbles belong together
const TYPING = 20; // seconds for which Messenger shows the dots
const MARKS = { sent: "Sent", delivered: "Delivered", seen: "Seen" };
const GET_STARTED = { title: "Get Started", payload: "GET_STARTED" };

/** @type {Map<string, Chat>} */
const chats = new Map();
let suggestions = [];
let room = 1;
let current = ""; // whose chat is seen where there is room for one only
let joining = false; // whether somebody joins because of this very page

/** Find an element by its ID. */
const find = (id) => document.getElementById(id);

/**
 * Make an element.
 *
 * @param {string} name
 * @param {Object<string, string>} attributes
 * @param {...(Node | string)} children
 */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Make an icon; the name of one of the page's symbols. */
function icon(name, classes = "") {
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
const clock = (at) =>
  new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Do something at the server. @returns {Promise<boolean>} whether it was done */
async function act(name, what) {
  try {
    const answer = await fetch(`/do/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(what),
    });
    if (answer.ok) return true;
    find("announcer").textContent = "The sandbox refused that.";
  } catch {
    find("announcer").textContent = "The sandbox does not answer.";
  }
  return false;
}

/** Whether a list is scrolled to its end, or nearly. */
const atEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 60;
const toEnd = (list) => list.scrollTo({ top: list.scrollHeight });

/** One person's chat. */
class Chat {
  /** @param {Person} person @param {number} number */
  constructor(person, number) {
    this.psid = person.psid;
    this.name = person.name;
    this.number = number;
    this.bot = person.bot;
    /** @type {Map<string, {bubble: Bubble, item: HTMLElement}>} */
    this.shown = new Map();
    this.last = null;
    this.dotsEnd = 0;
    this.build();
    for (const bubble of person.bubbles) this.add(bubble, false);
    this.type(person.typing);
    this.suggest();
  }

  avatar(small = false) {
    const classes = `avatar p${this.number % 6}${small ? " small" : ""}`;
    return element("span", { class: classes, "aria-hidden": "true" }, this.name[0]);
  }

  build() {
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
    this.list = element("ol", {
      class: "bubbles", role: "log", "aria-live": "polite", tabindex: "0",
      "aria-label": `Messages between ${this.name} and ${this.bot}`,
    }, this.intro, this.receipt, this.dots);
    this.chips = element("div", { class: "chips", role: "group", "aria-label": `Suggestions for ${this.name}` });
    this.text = element("textarea", {
      rows: "1", maxlength: "2000", placeholder: "Aa", enterkeyhint: "send", autocomplete: "off",
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
      this.list, this.chips, this.form);
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
    const stay = atEnd(this.list) || bubble.by === "person";
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
    if (bubble.by === "person") item.append(element("span", { class: "mark" }));
    this.list.insertBefore(item, this.receipt);
    this.last = { bubble, item };
    this.shown.set(bubble.mid, this.last);
    if (bubble.by === "person") this.mark(bubble.mid, bubble.mark);
    else this.type(false);
    this.receipt.hidden = bubble.by !== "person";
    this.suggest();
    if (stay) toEnd(this.list);
    if (live && bubble.by !== "person" && current !== this.psid) this.news(true);
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
    place.replaceChildren(icon(mark === "seen" ? "mica" : mark), element("span", { class: "hidden" }, MARKS[mark]));
    place.title = MARKS[mark];
    shown.item.dataset.mark = mark;
    if (shown === this.last) this.receipt.textContent = MARKS[mark];
  }

  /** Show the dots, or take them away. */
  type(typing) {
    clearTimeout(this.dotsEnd);
    const stay = atEnd(this.list);
    this.dots.hidden = !typing;
    if (typing) {
      this.dotsEnd = setTimeout(() => this.type(false), TYPING * 1000);
      if (stay) toEnd(this.list);
    }
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
      this.chips.replaceChildren(...suggestions.map((text) => {
        const chip = element("button", { type: "button", class: "chip" }, text);
        const payload = text.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
        chip.addEventListener("click", () => act("say", { psid: this.psid, text, payload }));
        return chip;
      }));
    }
  }
}

/** What happens, line by line. */
const story = {
  list: find("lines"),

  /** @param {Line} line */
  add(line, live = true) {
    const stay = atEnd(this.list);
    find("nothing").hidden = true;
    const chat = chats.get(line.psid);
    const since = line.since === null ? "" : span(line.since);
    const item = element("li", { class: "line", "data-station": line.station, "data-tone": line.tone },
      element("time", { title: new Date(line.at * 1000).toLocaleTimeString() }, since),
      element("span", { class: "icon" }, icon(line.station)),
      element("div", {}, element("b", {}, line.title)));
    if (line.detail) item.children[2].append(element("small", {}, line.detail));
    if (chat) {
      item.append(chat.avatar(true), element("span", { class: "hidden" }, chat.name));
      if (line.since === 0) item.classList.add("begins");
    }
    this.list.append(item);
    while (this.list.children.length > MOST_LINES) this.list.firstChild.remove();
    if (stay) toEnd(this.list);
    this.light(line, live);
  },

  /** Light up the station at which something happens. */
  light(line, live) {
    const stations = find("stations");
    if (line.station === "person" && line.since === 0) {
      for (const item of stations.children) delete item.dataset.tone;
    }
    const station = { human: "person", daemon: "webhook" }[line.station] ?? line.station;
    const item = stations.querySelector(`[data-station="${station}"]`);
    item.dataset.tone = line.tone;
    item.classList.remove("pulse");
    if (!live) return;
    void item.offsetWidth; // so that the animation begins anew
    item.classList.add("pulse");
  },

  clear() {
    this.list.replaceChildren();
    find("nothing").hidden = false;
  },
};

/** Spell a span of time. */
function span(seconds) {
  if (seconds < 0.9995) return `+${Math.round(seconds * 1000)} ms`;
  return seconds < 100 ? `+${seconds.toFixed(2)} s` : `+${Math.round(seconds)} s`;
}

/** Show one person's chat, where there is room for one only. */
function view(psid) {
  current = psid;
  show(false);
  for (const chat of chats.values()) {
    const shown = chat.psid === psid;
    chat.section.classList.toggle("current", shown);
    if (shown) {
      chat.news(false);
      toEnd(chat.list);
    }
  }
}

/** Show the panel instead of the chats, where there is room for one of them. */
function show(panel) {
  document.body.classList.toggle("to-panel", panel);
  panelTab.setAttribute("aria-current", String(panel));
  for (const chat of chats.values()) {
    chat.tab.setAttribute("aria-current", String(chat.psid === current && !panel));
  }
  if (panel) toEnd(story.list);
}

const panelTab = element("button", { type: "button", class: "to-panel" }, icon("evidence"), "What happens");
panelTab.addEventListener("click", () => show(true));

/** @param {Person} person */
function join(person) {
  if (chats.has(person.psid)) return;
  const chat = new Chat(person, chats.size);
  chats.set(person.psid, chat);
  find("chats").append(chat.section);
  find("tabs").insertBefore(chat.tab, panelTab);
  find("inbox-person").append(element("option", { value: chat.psid }, chat.name));
  find("add").disabled = chats.size >= room;
  toEnd(chat.list);
}

/** Begin, or begin anew. */
function begin(state) {
  const before = [...chats.keys()].indexOf(current);
  const panel = document.body.classList.contains("to-panel");
  chats.clear();
  for (const id of ["chats", "inbox-person"]) find(id).replaceChildren();
  find("tabs").replaceChildren(panelTab);
  suggestions = state.suggestions;
  room = state.room;
  find("bot").replaceChildren(...state.bots.map((name) => element("option", { value: name }, name)));
  find("bots").hidden = state.bots.length < 2;
  state.people.forEach(join);
  story.clear();
  for (const line of state.lines) story.add(line, false);
  toEnd(story.list);
  flip(state.switches);
  view([...chats.keys()][Math.max(before, 0)]);
  show(panel);
}

/** Show which switches are on. @param {Object<string, boolean>} positions */
function flip(positions) {
  for (const button of find("switches").children) {
    button.setAttribute("aria-checked", String(positions[button.dataset.trouble]));
  }
}

/** What comes from the server, by the event's kind. */
const heard = {
  state: begin,
  person: (person) => {
    join(person);
    if (!joining) return;
    joining = false;
    view(person.psid);
    const { section, text } = chats.get(person.psid);
    section.scrollIntoView({ inline: "end", block: "nearest" });
    text.focus({ preventScroll: true });
  },
  bubble: ({ psid, ...bubble }) => chats.get(psid)?.add(bubble),
  mark: ({ psid, mids, mark }) => mids.forEach((mid) => chats.get(psid)?.mark(mid, mark)),
  typing: ({ psid, typing }) => chats.get(psid)?.type(typing),
  line: (line) => story.add(line),
  switches: flip,
};

/** Listen to what happens. */
function listen() {
  const source = new EventSource("/events");
  const connection = find("connection");
  const tell = (state, text) => {
    connection.dataset.state = state;
    connection.textContent = text;
  };
  source.addEventListener("open", () => tell("good", "Connected"));
  source.addEventListener("error", () => {
    tell("bad", "Not connected");
    // A refusal ends it; a lost connection is taken up again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
  for (const [kind, hear] of Object.entries(heard)) {
    source.addEventListener(kind, (event) => hear(JSON.parse(event.data)));
  }
}

/** Let one choose between light and dark; at first it is as the system has it. */
function dress() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = find("theme");
  const put = () => {
    const theme = localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-checked", String(theme === "dark"));
  };
  button.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme);
    put();
  });
  dark.addEventListener("change", put);
  put();
}

find("add").addEventListener("click", async () => {
  joining = true;
  joining = (await act("join", { bot: find("bot").value })) && joining;
});
find("clear").addEventListener("click", () => story.clear());
find("switches").addEventListener("click", (event) => {
  const button = event.target.closest("[data-trouble]");
  const on = button?.getAttribute("aria-checked") !== "true";
  if (button) act("flip", { trouble: button.dataset.trouble, on });
});
find("inbox").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = find("inbox-text").value;
  if (!text.trim()) return;
  find("inbox-text").value = "";
  const what = { psid: find("inbox-person").value, text };
  if (!(await act("answer", what))) find("inbox-text").value ||= text;
});
dress();
listen();
