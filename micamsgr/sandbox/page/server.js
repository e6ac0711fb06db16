/**
 * What goes to the server, by POST, and what comes from it, by Server-Sent
 * Events.
 */

import { announce, find } from "./elements.js";

/** Do something at the server. @returns {Promise<boolean>} whether it was done */
export async function act(name, what) {
  try {
    const answer = await fetch(`/do/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(what),
    });
    if (answer.ok) return true;
    announce("The sandbox refused that.");
  } catch {
    announce("The sandbox does not answer. Is the daemon running?");
  }
  return false;
}

/**
 * Listen to what happens.
 *
 * @param {Object<string, function(Object)>} heard by the event's kind
 */
export function listen(heard) {
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
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(heard), 2000);
  });
  for (const [kind, hear] of Object.entries(heard)) {
    source.addEventListener(kind, (event) => hear(JSON.parse(event.data)));
  }
}
