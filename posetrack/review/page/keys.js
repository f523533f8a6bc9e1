// Every key of the review page, what it does and what the help says of it.

export function keyTable(act) {
  return [
    ["Playing", [
      [["Space"], "play or pause", act.toggle],
      [["←", "→"], "one frame back, on", { ArrowLeft: () => act.step(-1), ArrowRight: () => act.step(1) }],
      [["Shift ←", "Shift →"], "one second back, on",
        { "Shift+ArrowLeft": () => act.stepSeconds(-1), "Shift+ArrowRight": () => act.stepSeconds(1) }],
      [["Home", "End"], "first, last frame", { Home: () => act.end(0), End: () => act.end(1) }],
      [[",", "."], "slower, faster", { ",": () => act.speed(-1), ".": () => act.speed(1) }],
    ]],
    ["Suspects: where ids probably switched", [
      [["n"], "go to the next, its people selected", () => act.suspect(1)],
      [["p"], "go to the one before", () => act.suspect(-1)],
    ]],
    ["Who is meant", [
      [["↑", "↓"], "the track above, below", { ArrowUp: () => act.choose(-1, 0), ArrowDown: () => act.choose(1, 0) }],
      [["Shift ↑", "Shift ↓"], "the same for a second one",
        { "Shift+ArrowUp": () => act.choose(-1, 1), "Shift+ArrowDown": () => act.choose(1, 1) }],
      [["1 … 9"], "the person so far from the left in the picture; with Shift as the second",
        Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((n) => [
          [`Digit${n}`, () => act.chooseHere(n - 1, 0)], [`Shift+Digit${n}`, () => act.chooseHere(n - 1, 1)]]))],
      [["[", "]"], "go to where the selected one begins, ends", { "[": () => act.edge(0), "]": () => act.edge(1) }],
      [["Esc"], "nobody", { Escape: act.chooseNone }],
    ]],
    ["Corrections, kept at once", [
      [["x"], "swap the two selected from this frame on", () => act.verb("swap")],
      [["m"], "merge: the second becomes the first", () => act.verb("merge")],
      [["s"], "split: from this frame on somebody else", () => act.verb("split")],
      [["d", "Del"], "delete the selected track", { d: () => act.verb("delete"), Delete: () => act.verb("delete") }],
      [["Shift d"], "delete it from this frame on", { "Shift+d": () => act.verb("delete from here") }],
      [["r"], "name the selected person", () => act.verb("name")],
      [["z", "y"], "undo, redo (Ctrl+Z, Ctrl+Y too)", {
        z: act.undo, y: act.redo, "Ctrl+z": act.undo, "Ctrl+y": act.redo, "Ctrl+Shift+z": act.redo,
      }],
      [["e"], "export: write the corrected tracks to a new file", act.exportTracks],
    ]],
    ["What is drawn", [
      [["k"], "skeletons", () => act.show("skeletons")],
      [["b"], "boxes", () => act.show("boxes")],
      [["i"], "ids", () => act.show("ids")],
      [["t"], "trails", () => act.show("trails")],
      [["j"], "raw joints, as they were before cleaning", () => act.show("raw")],
      [["+", "−"], "timeline nearer, farther", { "+": () => act.zoom(2), "=": () => act.zoom(2), "-": () => act.zoom(0.5) }],
      [["f"], "all of the timeline, all of the picture", act.fit],
      [["l"], "light or dark", act.theme],
      [["?"], "these keys", act.help],
    ]],
  ];
}

// One listener for all: keys go to their action unless someone is typing or a dialog is open.
export function listen(table) {
  const actions = new Map();
  for (const [, entries] of table) {
    for (const [names, , action] of entries) {
      if (typeof action === "function") actions.set(names[0] === "Space" ? " " : names[0], action);
      else for (const [key, one] of Object.entries(action)) actions.set(key, one);
    }
  }
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select, textarea") || document.querySelector("dialog[open]");
    if (isTyping || event.altKey || event.metaKey) return;
    if (event.target.matches("button") && event.key === " ") return; // a button in focus is pressed by space
    const action = actionFor(event, actions);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function actionFor(event, actions) {
  const held = `${event.ctrlKey ? "Ctrl+" : ""}${event.shiftKey ? "Shift+" : ""}`;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return actions.get(held + event.code) ?? actions.get(held + key) ?? (event.ctrlKey ? undefined : actions.get(event.key));
}

export function fillHelp(dialog, table) {
  const node = (name, text, ...children) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  };
  const title = node("h2", "Keys");
  title.id = "keys-title";
  const columns = node("div", "", ...table.map(([heading, entries]) => node("section", "", node("h3", heading),
    node("dl", "", ...entries.flatMap(([names, words]) => [
      node("dt", "", ...names.flatMap((name) => [node("kbd", name), " "])), node("dd", words)])))));
  columns.className = "columns";
  const foot = node("p", "Mouse: click a person or a bar to select, with Shift as the second; drag along the ruler to scrub; "
    + "wheel over the picture zooms, over the tracks scrolls, with Ctrl zooms, with Shift moves along. Bars: hatched where optical flow alone carried a person, thin where scores are low, "
    + "pale where a gap was filled, a line where the person is missing.");
  foot.className = "foot";
  const close = node("button", "Close");
  close.className = "main";
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(title, columns, foot, close);
}
