// The canvas: images through the view, the border between two, values in large pixels, the pointer.

const GAP = 4, GRIP = 12, TEXT = 11, ROOM_FOR_VALUES = 54;

class Stage {
  /** `state` as in page.js; `changed` is called when the pointer changes it. */
  constructor(canvas, state, changed) {
    Object.assign(this, { canvas, state, changed, view: new View(), point: null });
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => (this.drag = null));
    canvas.addEventListener("pointercancel", () => (this.drag = null));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => this.toggle(this.place(event)));
  }

  /** Screen pixels a CSS pixel. */
  get density() {
    return window.devicePixelRatio || 1;
  }

  get image() {
    return this.state.frame;
  }

  get splitAt() {
    return this.canvas.width * this.state.split;
  }

  resize() {
    if (!this.state.ready) return;
    const { width, height } = this.image;
    const room = this.canvas.clientWidth;
    this.canvas.style.height = `${Math.round(Math.min((room * height) / width, 0.75 * window.innerHeight))}px`;
    this.canvas.width = Math.round(room * this.density);
    this.canvas.height = Math.round(this.canvas.clientHeight * this.density);
    this.paint();
  }

  /** What is shown: layers with their cells, and the part of the cell that they fill. */
  shown() {
    const { width, height } = this.canvas;
    const whole = { left: 0, top: 0, width, height };
    const { mode, a, b } = this.state;
    if (mode === "flip") return [{ layer: a, cell: whole, clip: whole }];
    if (mode === "split") {
      const left = Math.round(this.splitAt);
      return [
        { layer: a, cell: whole, clip: { ...whole, width: left } },
        { layer: b, cell: whole, clip: { ...whole, left, width: width - left }, right: true },
      ];
    }
    const layers = this.state.layers.filter((layer) => layer.unit === a.unit);
    return gridCells(layers.length, this.image, width, height, GAP * this.density)
      .map((cell, index) => ({ layer: layers[index], cell, clip: cell }));
  }

  paint() {
    if (!this.state.ready) return;
    const shown = this.shown();
    if (this.view.fitted) this.view.fit(this.image, shown[0].cell);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const each of shown) this.paintLayer(each);
    if (this.state.mode === "split") this.paintBorder();
    this.canvas.setAttribute("aria-label", `Images: ${shown.map(({ layer }) => layer.name).join(", ")}`);
  }

  paintLayer({ layer, cell, clip, right }) {
    const { context, view } = this;
    const corner = view.corner(cell);
    context.save();
    context.beginPath();
    context.rect(clip.left, clip.top, clip.width, clip.height);
    context.clip();
    context.imageSmoothingEnabled = view.scale < 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(layer.picture(this.state), corner.x, corner.y, this.image.width * view.scale, this.image.height * view.scale);
    if (view.scale >= ROOM_FOR_VALUES * this.density) this.paintValues(layer, cell, corner);
    this.paintLabel(layer.name, clip, right);
    context.restore();
  }

  /** The numbers of each pixel, in it. */
  paintValues(layer, cell, corner) {
    const { context, view } = this;
    const [first, last] = [{ x: cell.left, y: cell.top }, { x: cell.left + cell.width, y: cell.top + cell.height }]
      .map((point) => view.at(point, cell));
    const line = TEXT * this.density * 1.2;
    context.font = `${TEXT * this.density}px ui-monospace, monospace`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let y = Math.max(0, Math.floor(first.y)); y < Math.min(last.y, this.image.height); y++) {
      for (let x = Math.max(0, Math.floor(first.x)); x < Math.min(last.x, this.image.width); x++) {
        const texts = layer.values(x, y).map(shortened);
        const middle = { x: corner.x + (x + 0.5) * view.scale, y: corner.y + (y + 0.5) * view.scale };
        texts.forEach((text, row) => this.paintText(text, middle.x, middle.y + (row - (texts.length - 1) / 2) * line));
      }
    }
  }

  paintLabel(text, clip, right) {
    const { context, density } = this;
    context.font = `${13 * density}px system-ui, sans-serif`;
    context.textAlign = right ? "right" : "left";
    context.textBaseline = "top";
    this.paintText(text, right ? clip.left + clip.width - 8 * density : clip.left + 8 * density, clip.top + 8 * density);
  }

  /** White with a dark edge, to be read on anything. */
  paintText(text, x, y) {
    this.context.lineWidth = 3 * this.density;
    this.context.lineJoin = "round";
    this.context.strokeStyle = "rgb(0 0 0 / .7)";
    this.context.fillStyle = "white";
    this.context.strokeText(text, x, y);
    this.context.fillText(text, x, y);
  }

  paintBorder() {
    const { context, density } = this;
    context.fillStyle = "#f0a020";
    context.fillRect(Math.round(this.splitAt) - density, 0, 2 * density, this.canvas.height);
    context.beginPath();
    context.arc(this.splitAt, this.canvas.height / 2, 6 * density, 0, 2 * Math.PI);
    context.fill();
  }

  /** Zoom by a factor about the centre of the first cell. */
  scaleBy(factor) {
    const { cell } = this.shown()[0];
    this.view.zoom(this.view.scale * factor, { x: cell.left + cell.width / 2, y: cell.top + cell.height / 2 }, cell);
    this.changed();
  }

  scaleTo(scale) {
    this.scaleBy(scale / this.view.scale);
  }

  fit() {
    this.view.fitted = true;
    this.changed();
  }

  /** From all of the image to large pixels at a point, and back. */
  toggle(point) {
    if (!this.view.fitted) return this.fit();
    this.view.zoom(16 * this.density, point, this.cellAt(point));
    return this.changed();
  }

  /** A square of the image, as large as it fits. */
  show(left, top, side) {
    const { cell } = this.shown()[0];
    this.view.scale = Math.min(cell.width, cell.height) / side;
    this.view.x = left + side / 2;
    this.view.y = top + side / 2;
    this.view.fitted = false;
    this.changed();
  }

  pan(right, down) {
    this.view.pan(right, down, this.image);
    this.changed();
  }

  /** A pointer's place in screen pixels. */
  place(event) {
    return { x: event.offsetX * this.density, y: event.offsetY * this.density };
  }

  cellAt(point) {
    const within = ({ cell }) => point.x >= cell.left && point.x < cell.left + cell.width
      && point.y >= cell.top && point.y < cell.top + cell.height;
    const shown = this.shown();
    return (shown.find(within) ?? shown[0]).cell;
  }

  /** The image pixel under the pointer, or at the centre; null beside the image. */
  pixel() {
    const cell = this.point ? this.cellAt(this.point) : this.shown()[0].cell;
    const point = this.point ?? { x: cell.left + cell.width / 2, y: cell.top + cell.height / 2 };
    const at = this.view.at(point, cell);
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
    return x >= 0 && y >= 0 && x < this.image.width && y < this.image.height ? { x, y } : null;
  }

  atBorder(point) {
    return this.state.mode === "split" && Math.abs(point.x - this.splitAt) < GRIP * this.density;
  }

  press(event) {
    const point = this.place(event);
    this.drag = { point, border: this.atBorder(point) };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const point = this.place(event);
    if (this.drag?.border) this.state.split = Math.min(Math.max(point.x / this.canvas.width, 0), 1);
    else if (this.drag) this.view.pan(point.x - this.drag.point.x, point.y - this.drag.point.y, this.image);
    if (this.drag) {
      this.drag.point = point;
      this.changed();
    }
    this.canvas.style.cursor = this.atBorder(point) ? "ew-resize" : "crosshair";
    this.hover(point);
  }

  hover(point) {
    this.point = point;
    this.changed(false);
  }

  wheel(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey) return;
    event.preventDefault();
    const point = this.place(event);
    this.view.zoom(this.view.scale * 2 ** (-event.deltaY / 240), point, this.cellAt(point));
    this.changed();
  }
}

/** A number in few characters: three digits that count. */
function shortened(value) {
  if (!Number.isFinite(value) || value === 0) return String(value);
  return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
