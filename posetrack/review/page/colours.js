// Colours: those of posetrack/render.py for people, those of look.css for the page.

export const SIDES = { left: "rgb(86 180 233)", right: "rgb(240 128 20)", middle: "rgb(245 245 245)" };
export const INK = "rgb(16 16 20)";

const known = new Map();

// The colour of a track from its number alone: hues a golden angle apart, in three strengths.
export function trackColour(id) {
  if (!known.has(id)) known.set(id, makeColour(id));
  return known.get(id);
}

function makeColour(id) {
  const [saturation, value] = [[0.75, 1], [0.5, 1], [0.85, 0.85]][Math.floor(id / 8) % 3];
  const hue = (0.13 + id * 0.381966) % 1;
  const channel = (n) => {
    const k = (n + hue * 6) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  const rgb = [channel(5), channel(3), channel(1)];
  const bright = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] > 110;
  return { fill: `rgb(${rgb.join(" ")})`, ink: bright ? INK : SIDES.middle, rgb };
}

export function faded(id, alpha) {
  return `rgb(${trackColour(id).rgb.join(" ")} / ${alpha})`;
}

// A bone from left to right is in the middle.
export function sideOf(...joints) {
  const [left, right] = ["left_", "right_"].map((side) => joints.some((joint) => joint.startsWith(side)));
  return left === right ? "middle" : left ? "left" : "right";
}

// The page's own colours, as the style sheet has them now.
export function pageColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["panel", "line", "ink", "quiet", "accent", "amber", "alarm", "stage", "press", "bar-gap", "raised"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export function startTheme(button, changed) {
  const root = document.documentElement;
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    root.dataset.theme = localStorage.getItem("theme") ?? (prefers.matches ? "dark" : "light");
    changed();
  };
  prefers.addEventListener("change", show);
  button.addEventListener("click", () => {
    localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
    show();
  });
  show();
}
