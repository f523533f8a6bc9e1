// The live page: asks for the picture after the one it has, as soon as that is drawn. So a slow browser sees fewer
// pictures, never older ones.

import { startTheme } from "./colours.js";
import { ask } from "./server.js";

const $ = (id) => document.getElementById(id);
const STEADY = 33; // milliseconds: pictures of a file come in blocks and are shown one by one

let held = false;
let number = 0;
const ctx = $("picture").getContext("2d", { alpha: false });

async function show(response) {
  const came = performance.now();
  const facts = JSON.parse(response.headers.get("X-Frame"));
  const picture = await createImageBitmap(await response.blob());
  if ($("picture").width !== picture.width || $("picture").height !== picture.height) {
    Object.assign($("picture"), { width: picture.width, height: picture.height });
  }
  if (!held) ctx.drawImage(picture, 0, 0);
  picture.close();
  number = facts.number;
  const latency = facts.latency + (performance.now() - came) / 1000;
  tellFacts(facts, latency);
  return facts;
}

function tellFacts(facts, latency) {
  $("notice").hidden = true;
  $("name").textContent = facts.name.split(/[\\/]/).pop();
  document.title = `${$("name").textContent} · posetrack live`;
  $("kind").textContent = facts.live ? "LIVE" : "file";
  $("kind").toggleAttribute("data-live", facts.live);
  $("index").textContent = facts.index;
  $("people").textContent = facts.people;
  $("rate").textContent = facts.rate.toFixed(1);
  $("latency").textContent = latency < 10 ? `${latency.toFixed(2)} s` : `${latency.toFixed(0)} s`;
}

function tell(words) {
  $("notice").hidden = false;
  $("notice").textContent = words;
}

async function follow() {
  for (;;) {
    const began = performance.now();
    let response;
    try {
      response = await ask("frame", { after: number });
    } catch {
      return tell("The run has ended.");
    }
    if (response.status === 204) {
      if (JSON.parse(response.headers.get("X-Frame")).ended) return tell("The run has ended.");
      if (number) tell("Waiting for the next frame …");
      continue;
    }
    const { live } = await show(response);
    const wait = live ? 0 : Math.max(0, STEADY - (performance.now() - began));
    await new Promise((done) => { setTimeout(done, wait); });
  }
}

function hold() {
  held = !held;
  $("hold").setAttribute("aria-pressed", held);
}

$("hold").addEventListener("click", hold);
document.addEventListener("keydown", (event) => {
  if (event.key === " " && !event.target.matches("button")) { event.preventDefault(); hold(); }
});
startTheme($("theme"), () => {});
document.body.dataset.ready = "yes";
globalThis.live = { get number() { return number; } };
follow();
