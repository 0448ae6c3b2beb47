// Below the viewer: the squares with the largest error, all maps, and scales with numbers.

const TICKS = 5;

/** The scale of a unit, from 0 to its top, with numbers. */
function scaleBar(unit, look) {
  const bar = Object.assign(document.createElement("canvas"), { width: 256, height: 1 });
  const context = bar.getContext("2d");
  for (let x = 0; x < bar.width; x++) {
    context.fillStyle = `rgb(${heat(x / (bar.width - 1)).join(" ")})`;
    context.fillRect(x, 0, 1, 1);
  }
  const ticks = element("div", "ticks");
  for (let tick = 0; tick < TICKS; tick++) {
    const value = shortened((scaleTop(unit, look) * tick) / (TICKS - 1));
    ticks.append(element("span", "", tick === TICKS - 1 ? `≥ ${value}` : value));
  }
  const figure = element("figure", "scale");
  figure.append(element("figcaption", "", unit), bar, ticks);
  return figure;
}

function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

/** A part of a layer, every pixel as it is; a click shows it in the viewer. */
function part(layer, look, left, top, width, height, show) {
  const figure = element("figure", "shown");
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(layer.picture(look), left, top, width, height, 0, 0, width, height);
  canvas.onclick = show;
  figure.append(canvas, element("figcaption", "", layer.name));
  return figure;
}

/** What is worth seeing of the frame without looking for it. */
function sheets(state, stage) {
  const { frame, layers } = state;
  const images = layers.filter((layer) => !layer.unit);
  const found = [];
  if (frame.squares.length) {
    found.push(element("h2", "", `The squares of ${frame.side} pixels with the largest error`));
    const row = element("div", "row crops");
    row.style.setProperty("--columns", images.length);
    for (const [left, top] of frame.squares) {
      const show = () => stage.show(left, top, frame.side);
      row.append(...images.map((layer) => part(layer, state, left, top, frame.side, frame.side, show)));
    }
    found.push(row);
  }
  for (const unit of new Set(layers.map((layer) => layer.unit).filter(Boolean))) {
    const maps = layers.filter((layer) => layer.unit === unit);
    const row = element("div", "row maps");
    row.append(...maps.map((layer) => part(layer, state, 0, 0, frame.width, frame.height, () => state.choose(layer))));
    found.push(element("h2", "", `Maps of ${unit}`), scaleBar(unit, state), row);
  }
  return found;
}
