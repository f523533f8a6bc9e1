// The review page: puts player, picture, timeline, panel and keys together, and makes corrections.

import { pageColours, startTheme } from "./colours.js";
import { fillHelp, keyTable, listen } from "./keys.js";
import { Labels } from "./labels.js";
import { listenToMouse } from "./mouse.js";
import { fromLeft, showHere, showSelection, showSuspects } from "./panel.js";
import { Picture } from "./picture.js";
import { Pieces } from "./pieces.js";
import { Player } from "./player.js";
import { askJson, tell } from "./server.js";
import { Timeline, timeWords } from "./timeline.js";

const NOTED = 12_000; // milliseconds that a remark about the video stays

const $ = (id) => document.getElementById(id);
const about = await askJson("about");
const labels = new Labels(about.tracks);
const pieces = new Pieces(about);
const player = new Player($("video"), pieces, about);
const picture = new Picture($("picture"), $("video"), about, labels);
const timeline = new Timeline($("timeline"), about, labels);
let selected = []; // shown ids: the one meant, and a second
let suspect = null;
let state = {}; // what the server said last
let found = []; // suspects, in order of time, ids as in the file

document.title = `${about.name} · posetrack review`;
$("file").textContent = about.name;

/* ---- drawing ---- */

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}

function paint() {
  const image = player.grab();
  if (image) player.find(player.timeOf(image));
  picture.hasVideo = player.hasVideo;
  picture.draw(image, player.at, selected, pieces);
  image?.close();
  timeline.follow(player.index);
  timeline.selected = selected;
  timeline.suspect = suspect;
  timeline.draw();
  showHere($("here"), picture.people, selected, labels, choose);
  $("here-count").textContent = picture.people.length || "";
  const time = player.hasVideo && player.at ? player.at.piece.times[player.at.row] : timeline.timeAt(player.index);
  $("clock").innerHTML = "";
  const strong = document.createElement("b");
  strong.textContent = timeWords(time);
  $("clock").append(strong, ` / ${timeWords(about.last[1], 1)} · frame ${player.index}`);
  $("timeline").setAttribute("aria-valuetext", `${timeWords(time)}, frame ${player.index}`);
  $("play").toggleAttribute("data-playing", player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause (space)" : "Play (space)");
}

function resize() {
  picture.resize();
  timeline.resize();
  paint();
}

player.onframe = () => {
  // a picture that the browser has just put on the screen is painted now, with its people
  if (player.playing) paint(); else redraw();
};

let saidTimer = 0;
function say(words, wrong = false) {
  const place = $("said");
  place.textContent = words;
  place.className = wrong ? "shown wrong" : "shown";
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => { place.className = ""; }, wrong ? 6000 : 2600);
}

function notice(words) {
  $("notice").hidden = !words;
  $("notice").textContent = words;
}

/* ---- who is meant ---- */

function choose(id, second = 0) {
  if (id === undefined) selected = [];
  else if (second && selected.length && selected[0] !== id) selected = [selected[0], id];
  else selected = [id];
  for (const one of [...selected].reverse()) timeline.reveal(one);
  refresh();
}

function refresh() {
  selected = selected.filter((id) => labels.places.has(id));
  showSelection($("selection"), selected, labels, timeline);
  const ready = Boolean(state.edits);
  for (const button of $("verbs").children) {
    const wants = ["swap", "merge"].includes(button.dataset.verb) ? 2 : 1;
    button.disabled = !ready || selected.length < wants;
  }
  redraw();
}

/* ---- suspects ---- */

// Suspects are found with the file's ids; what has been deleted is no longer suspect.
function relabelSuspects() {
  const shown = found
    .map((one) => ({ ...one, shown: [...new Set(one.ids.map((id) => labels.shownAround(id, one.frame)))].filter((id) => id !== null) }))
    .filter((one) => one.shown.length);
  suspect = shown.find((one) => suspect && one.frame === suspect.frame && one.kind === suspect.kind
    && String(one.ids) === String(suspect.ids)) ?? null;
  timeline.setSuspects(shown);
  listSuspects();
}

function listSuspects() {
  $("suspect-count").textContent = state.survey === 1 ? `${timeline.suspects.length || "none"}` : `${Math.floor(100 * (state.survey ?? 0))} %`;
  showSuspects($("suspects"), timeline.suspects, suspect, labels, timeline, goTo);
}

function goTo(one) {
  suspect = one;
  selected = one.kind === "birth" ? one.shown.slice(0, 2).reverse() : one.shown.slice(0, 2); // a new id merges into the old
  player.pause();
  player.seek(one.frame);
  for (const id of [...selected].reverse()) timeline.reveal(id);
  listSuspects();
  refresh();
}

function nextSuspect(way) {
  const all = timeline.suspects;
  const here = suspect && suspect.frame === player.index ? all.indexOf(suspect) : -1;
  const next = here >= 0 ? all[here + way]
    : way > 0 ? all.find((one) => one.frame > player.index) : all.findLast((one) => one.frame < player.index);
  if (next) goTo(next);
  else say(state.survey < 1 ? "Still looking for suspects" : `No suspect ${way > 0 ? "after" : "before"} this frame`);
}

/* ---- corrections ---- */

function correction(verb) {
  const [id, second] = selected, frame = player.index;
  switch (verb) {
    case "swap": return second && { verb, ids: [id, second], frame };
    case "merge": return second && { verb, id: second, into: id };
    case "split": return id && { verb, id, frame };
    case "delete": return id && { verb, id };
    case "delete from here": return id && { verb: "delete", id, first: frame };
    default: return null;
  }
}

async function correct(verb) {
  if (!state.edits) return say("Corrections can be made when the file has been looked through", true);
  if (verb === "name") return selected.length ? askName(selected[0]) : say("Select a person first", true);
  const record = correction(verb);
  if (!record) return say(`Select ${["swap", "merge"].includes(verb) ? "two people" : "a person"} first`, true);
  return send(record);
}

async function send(record) {
  try {
    takeState(await tell("edit", record));
    say(state.edits.said);
  } catch (error) {
    say(error.message, true);
  }
}

function askName(id) {
  $("naming-title").textContent = `Name of ${id}`;
  $("name").value = labels.nameOf(id);
  $("naming").returnValue = "";
  $("naming").showModal();
  $("naming").onclose = () => {
    if ($("naming").returnValue === "ok") send({ verb: "name", id, name: $("name").value.trim() });
  };
}

async function exportTracks() {
  try {
    takeState(await tell("export"));
    say("Writing the corrected tracks …");
  } catch (error) {
    say(error.message, true);
  }
}

/* ---- what the server says ---- */

function takeState(news) {
  const before = state;
  // what was asked before a correction may be answered after it
  if (news.edits?.version < before.edits?.version) news.edits = before.edits;
  state = news;
  if (news.edits && news.edits.version !== before.edits?.version) {
    labels.relabel(news.edits.table);
    $("undo").disabled = !news.edits.undo;
    $("redo").disabled = !news.edits.redo;
    $("undo").title = news.edits.undo ? `Undo: ${news.edits.undo}` : "";
    $("redo").title = news.edits.redo ? `Redo: ${news.edits.redo}` : "";
    const { count, file } = news.edits;
    $("saved").textContent = count ? `${count} correction${count === 1 ? "" : "s"}, kept in ${file}` : "";
    relabelSuspects();
    refresh();
  }
  if (news.survey === 1 && before.survey !== 1) learn();
  if (news.survey !== before.survey) listSuspects();
  if (news.export?.number !== before.export?.number || news.export?.share !== before.export?.share) tellExport(news.export);
  takeVideo(news.video, before.video);
  for (const warning of (news.warnings ?? []).slice(before.warnings?.length ?? 0)) say(warning, true);
}

async function learn() {
  const survey = await askJson("survey");
  labels.learn(survey.tracks);
  found = survey.suspects.sort((a, b) => a.frame - b.frame);
  relabelSuspects();
  refresh();
  document.body.dataset.surveyed = "yes";
}

function tellExport(job) {
  if (!job) return;
  if (job.error) say(job.error, true);
  else if (job.share === 1) say(`Written: ${job.name}`);
  else say("Writing the corrected tracks …");
}

function takeVideo(video, before) {
  if (video.kind === "making") notice(`Preparing the video for the browser: ${Math.floor(100 * video.share)} %`);
  else if (video.note !== before?.note || before?.kind === "making") {
    notice(video.note ?? "");
    if (video.note) setTimeout(() => notice(""), NOTED);
  }
  if (video.kind === "ready" && before?.kind !== "ready") player.useVideo("video", video.begins);
  redraw();
}

// The server thought that the browser plays this video, and it doesn't: once, a proxy is asked for.
let asked = false;
$("video").addEventListener("error", async () => {
  if (!player.hasVideo) return;
  player.dropVideo();
  redraw();
  if (asked) { notice("The browser cannot play the video"); return; }
  asked = true;
  state = { ...state, video: null };
  try { takeState(await tell("proxy")); } catch (error) { notice(error.message); }
});

async function listenToServer() {
  for (;;) {
    const isBusy = state.survey !== 1 || state.video?.kind === "making" || (state.export && state.export.share < 1);
    try {
      takeState(await askJson("state"));
      if (document.body.dataset.lost) { delete document.body.dataset.lost; say("The server is back"); }
    } catch {
      if (!document.body.dataset.lost) say("posetrack review has ended. What was corrected is kept; start it again", true);
      document.body.dataset.lost = "yes";
    }
    await new Promise((done) => { setTimeout(done, isBusy ? 400 : 2500); });
  }
}

/* ---- hands ---- */

const rows = () => labels.rows;
const act = {
  toggle: () => player.toggle(),
  step: (count) => player.step(count),
  stepSeconds: (seconds) => player.step(Math.round(seconds * about.fps / about.stride) || Math.sign(seconds)),
  end: (which) => { player.pause(); player.seek([about.first, about.last][which][0]); },
  speed: (way) => {
    const list = $("speed");
    list.selectedIndex = Math.min(Math.max(list.selectedIndex + way, 0), list.length - 1);
    player.setRate(Number(list.value));
    say(`Speed ${list.value}`);
  },
  suspect: nextSuspect,
  choose: (way, second) => {
    const place = labels.places.get(selected[second] ?? selected[0]) ?? (way > 0 ? -1 : rows().length);
    let next = place + way;
    if (second && rows()[next]?.id === selected[0]) next += way;
    if (rows()[next]) choose(rows()[next].id, second);
  },
  chooseHere: (n, second) => { const one = fromLeft(picture.people)[n]; if (one) choose(one.id, second); },
  chooseNone: () => choose(),
  edge: (which) => { const row = labels.row(selected[0]); if (row) player.seek(which ? row.last : row.first); },
  verb: correct,
  undo: () => send({ verb: "undo" }),
  redo: () => send({ verb: "redo" }),
  exportTracks,
  show: (what) => {
    picture.shows[what] = !picture.shows[what];
    document.querySelector(`[data-show=${what}]`).setAttribute("aria-pressed", picture.shows[what]);
    redraw();
  },
  zoom: (factor) => { timeline.zoomBy(factor); redraw(); },
  fit: () => { timeline.showAll(); picture.zoom = { scale: 1, x: 0, y: 0 }; redraw(); },
  theme: () => $("theme").click(),
  help: () => $("keys").showModal(),
};
const table = keyTable(act);
fillHelp($("keys"), table);
listen(table);

for (const [id, action] of Object.entries({
  play: act.toggle, back: () => act.step(-1), on: () => act.step(1), earlier: () => act.suspect(-1),
  later: () => act.suspect(1), undo: act.undo, redo: act.redo, export: act.exportTracks, help: act.help,
  "name-cancel": () => $("naming").close(),
})) $(id).addEventListener("click", action);
for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => act.show(button.dataset.show));
for (const button of document.querySelectorAll("[data-verb]")) button.addEventListener("click", () => act.verb(button.dataset.verb));
$("speed").addEventListener("change", () => { player.setRate(Number($("speed").value)); $("speed").blur(); });

listenToMouse({ picture, timeline, player, labels, choose, goTo, redraw });
document.addEventListener("click", (event) => { // a button that was clicked gives the space bar back to playing
  if (event.detail > 0 && event.target.closest("button")) document.activeElement.blur();
});

startTheme($("theme"), () => {
  picture.colours = timeline.colours = pageColours();
  redraw();
});
resize();
new ResizeObserver(resize).observe($("stage"));
new ResizeObserver(resize).observe($("tracks"));
refresh();
player.seek(about.first[0]).catch((error) => say(error.message, true));
listenToServer();
document.body.dataset.ready = "yes";
// what the page's tests and the curious may look at
globalThis.review = {
  player, picture, timeline, labels, pieces,
  get selected() { return selected; },
  get version() { return state.edits?.version; },
};
