// State, controls and keys.

const DATA = JSON.parse(document.getElementById("data").textContent);
const control = (id) => document.getElementById(id);
const MODES = { s: "split", f: "flip", g: "grid" };
const FRAMES_A_SECOND = 12, SLIDER_RESTS = 200; // milliseconds

const state = {
  frame: null, // one of DATA.frames
  layers: [], // of the frame
  a: null,
  b: null,
  mode: "split",
  split: 0.5, // where the border is, 0 to 1
  stops: 0, // exposure
  octaves: 0, // factor of the maps' scales, as a power of two
  ready: false,
  choose(layer) {
    state.b = layer;
    refresh();
    control("stage").scrollIntoView({ block: "center" });
  },
};
const stage = new Stage(control("stage"), state, refresh);
const layersOf = new Map(DATA.frames.map((frame) => [frame, frame.layers.map((record) => new Layer(record, frame))]));
let sheetsFor = {};
let player = 0;

/** Show a frame; A and B stay the same by name where the frame has them. */
async function showFrame(frame) {
  const layers = layersOf.get(frame);
  await Promise.all(layers.map((layer) => layer.load()));
  const like = (layer, index) => layers.find((each) => each.name === layer?.name) ?? layers[Math.min(index, layers.length - 1)];
  Object.assign(state, { a: like(state.a, 0), b: like(state.b, 1), frame, layers, ready: true });
  for (const [side, layer] of [["a", state.a], ["b", state.b]]) fill(control(side), layers.map(({ name }) => name), layers.indexOf(layer));
  stage.resize();
  refresh();
}

function fill(select, texts, chosen) {
  select.replaceChildren(...texts.map((text) => new Option(text)));
  select.selectedIndex = chosen;
}

/** Make the page say what the state is; `all` is false where only the pointer has moved. */
function refresh(all = true) {
  if (!state.ready) return;
  control("readout").textContent = readout();
  if (!all) return;
  stage.paint();
  const { mode, layers } = state;
  for (const name of Object.values(MODES)) control(`${name}-mode`).setAttribute("aria-pressed", String(mode === name));
  control("frame").selectedIndex = DATA.frames.indexOf(state.frame);
  control("a").selectedIndex = layers.indexOf(state.a);
  control("b").selectedIndex = layers.indexOf(state.b);
  control("split").value = 100 * state.split;
  control("split").disabled = mode !== "split";
  control("stops").value = state.stops;
  control("stops-text").value = `${state.stops > 0 ? "+" : ""}${state.stops} stops`;
  control("octaves").value = state.octaves;
  control("zoom-text").value = `${Number((100 * stage.view.scale).toPrecision(3))} %`;
  control("play").setAttribute("aria-pressed", String(Boolean(player)));
  showScales();
  showSheets();
}

/** The scales of the maps in view. */
function showScales() {
  const units = new Set(stage.shown().map(({ layer }) => layer.unit).filter(Boolean));
  control("scales").replaceChildren(...[...units].map((unit) => scaleBar(unit, state)));
}

/** At once for another frame; a slider that moves is waited for, as every layer is colored again. */
function showSheets() {
  const { frame, stops, octaves } = state;
  if (player || (sheetsFor.frame === frame && sheetsFor.stops === stops && sheetsFor.octaves === octaves)) return;
  clearTimeout(sheetsFor.timer);
  const show = () => control("sheets").replaceChildren(...sheets(state, stage));
  const timer = sheetsFor.frame === frame ? setTimeout(show, SLIDER_RESTS) : show();
  sheetsFor = { frame, stops, octaves, timer };
}

/** The pixel under the pointer, in the units of the files. */
function readout() {
  const pixel = stage.pixel();
  if (!pixel) return "";
  const layers = new Set(stage.shown().map(({ layer }) => layer));
  const values = [...layers].map((layer) => `${layer.name}: ${layer.values(pixel.x, pixel.y).map(shortened).join(" ")}`);
  return [`x ${pixel.x} y ${pixel.y}`, ...values].join("   ");
}

function swap() {
  [state.a, state.b] = [state.b, state.a];
  refresh();
}

function change(values) {
  Object.assign(state, values);
  refresh();
}

function step(frames) {
  const index = DATA.frames.indexOf(state.frame);
  return showFrame(DATA.frames.at((index + frames) % DATA.frames.length));
}

/** Frames in turn; the sheets wait until it stops. */
function play() {
  clearInterval(player);
  player = player ? 0 : setInterval(() => step(1), 1000 / FRAMES_A_SECOND);
  refresh();
}

const brighten = (stops) => change({ stops: Math.min(Math.max(state.stops + stops, -10), 10) });
const KEYS = {
  " ": swap,
  s: () => change({ mode: "split" }),
  f: () => change({ mode: "flip" }),
  g: () => change({ mode: "grid" }),
  "+": () => stage.scaleBy(2),
  "=": () => stage.scaleBy(2),
  "-": () => stage.scaleBy(0.5),
  0: () => stage.fit(),
  z: () => stage.scaleTo(1),
  e: () => brighten(0.5),
  E: () => brighten(-0.5),
  ",": () => step(-1),
  ".": () => step(1),
  p: play,
};
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Lists keep their own keys, sliders their arrows, and Space presses a button.
  if (event.target.closest("select, summary") || (event.key === " " && event.target.closest("button"))) return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  const action = digit ? () => chooseByNumber(Number(digit[1]), event.shiftKey) : KEYS[event.key] ?? arrow(event);
  if (!action) return;
  event.preventDefault();
  action();
}

/** Choose A, or with Shift B, by its place in the list. */
function chooseByNumber(place, shift) {
  const layer = state.layers[place - 1];
  if (layer) change({ [shift ? "b" : "a"]: layer });
}

function arrow(event) {
  const [right, down] = ARROWS[event.key] ?? [];
  if (right === undefined || event.target !== stage.canvas) return null;
  if (event.shiftKey && right) return () => change({ split: Math.min(Math.max(state.split - right / 50, 0), 1) });
  return () => stage.pan((right * stage.canvas.width) / 8, (down * stage.canvas.height) / 8);
}

function listen() {
  control("frame").onchange = (event) => showFrame(DATA.frames[event.target.selectedIndex]);
  control("a").onchange = (event) => change({ a: state.layers[event.target.selectedIndex] });
  control("b").onchange = (event) => change({ b: state.layers[event.target.selectedIndex] });
  control("split").oninput = (event) => change({ split: event.target.value / 100 });
  control("stops").oninput = (event) => change({ stops: Number(event.target.value) });
  control("octaves").oninput = (event) => change({ octaves: Number(event.target.value) });
  for (const mode of Object.values(MODES)) control(`${mode}-mode`).onclick = () => change({ mode });
  control("swap").onclick = swap;
  control("play").onclick = play;
  control("in").onclick = KEYS["+"];
  control("out").onclick = KEYS["-"];
  control("fit").onclick = KEYS[0];
  control("pixels").onclick = KEYS.z;
  control("reset").onclick = () => {
    stage.view.fitted = true;
    change({ stops: 0, octaves: 0, split: 0.5 });
  };
  document.addEventListener("keydown", pressed);
}

async function start() {
  const { frames } = DATA;
  fill(control("frame"), frames.map(({ title }) => title), 0);
  control("frames").hidden = control("play").hidden = frames.length < 2;
  control("range").hidden = Object.keys(DATA.units).length === 0;
  control("tables").hidden = !document.querySelector("#tables table");
  listen();
  await showFrame(frames.find(({ squares }) => squares.length) ?? frames[0]);
}

start().catch((error) => {
  control("problem").textContent = `The images cannot be shown: ${error.message}. A browser of 2023 or later is needed.`;
  control("problem").hidden = false;
});
