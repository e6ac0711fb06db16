/**
 * The sandbox's page.
 *
 * Nothing is shown before the server has told of it.
 */

import { Chat } from "./chat.js";
import { element, find, icon } from "./elements.js";
import { act, listen } from "./server.js";
import { story } from "./story.js";

/** @type {Map<string, Chat>} */
const chats = new Map();
let suggestions = [];
let room = 1;
let current = ""; // whose chat is seen where there is room for one only
let joining = false; // whether somebody joins because of this very page

/** Show one person's chat, where there is room for one only. */
function view(psid) {
  current = psid;
  show(false);
  for (const chat of chats.values()) {
    const shown = chat.psid === psid;
    chat.section.classList.toggle("current", shown);
    if (!shown) continue;
    chat.news(false);
    chat.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** Show the panel instead of the chats, where there is room for one of them. */
function show(panel) {
  document.body.classList.toggle("to-panel", panel);
  panelTab.setAttribute("aria-current", String(panel));
  for (const chat of chats.values()) {
    chat.tab.setAttribute("aria-current", String(chat.psid === current && !panel));
  }
}

const panelTab = find("panel-tab");
panelTab.addEventListener("click", () => show(true));

/** Show a person, as they are now. @param {import("./chat.js").Person} person */
function join(person) {
  let chat = chats.get(person.psid);
  if (!chat) {
    chat = new Chat(person, chats.size, view);
    chats.set(person.psid, chat);
    find("chats").append(chat.section);
    find("people").append(chat.tab);
    find("inbox-person").append(element("option", { value: chat.psid }, chat.name));
  }
  chat.renew(person, suggestions);
  find("add").disabled = chats.size >= room;
}

/** Show these people, and nobody else; what one was writing stays. */
function gather(people) {
  const known = [...chats.values()];
  const drafts = new Map(known.map((chat) => [chat.name, chat.text.value]));
  if (!known.every((chat, number) => chat.is(people[number]))) {
    chats.clear();
    for (const id of ["chats", "people", "inbox-person"]) find(id).replaceChildren();
  }
  people.forEach(join);
  for (const chat of chats.values()) chat.text.value ||= drafts.get(chat.name) ?? "";
}

/** Begin, or go on after the connection was lost. */
function begin(state) {
  const before = [...chats.keys()].indexOf(current);
  const panel = document.body.classList.contains("to-panel");
  suggestions = state.suggestions;
  room = state.room;
  const bot = find("bot").value;
  find("bot").replaceChildren(...state.bots.map((name) => element("option", { value: name }, name)));
  if (state.bots.includes(bot)) find("bot").value = bot;
  find("bots").hidden = state.bots.length < 2;
  gather(state.people);
  story.clear();
  for (const line of state.lines) story.add(line, chats.get(line.psid), false);
  flip(state.switches);
  view([...chats.keys()][Math.max(before, 0)]);
  show(panel);
  for (const { reading } of [story, ...chats.values()]) reading.keep();
}

/** Show which switches are on. @param {Object<string, boolean>} positions */
function flip(positions) {
  for (const button of find("switches").children) {
    button.setAttribute("aria-checked", String(positions[button.dataset.trouble]));
  }
  const troubled = Object.values(positions).some(Boolean);
  panelTab.classList.toggle("troubled", troubled);
  if (troubled) panelTab.setAttribute("aria-label", `${panelTab.innerText}; trouble is switched on`);
  else panelTab.removeAttribute("aria-label");
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
  line: (line) => story.add(line, chats.get(line.psid)),
  switches: flip,
};

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
listen(heard);
