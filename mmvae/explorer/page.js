"use strict";
// What the page does: codes are chosen above, every run shows what it makes of them.

const page = JSON.parse(document.getElementById("data").textContent);
const REACH = 5; // of a slider, in deviations of the prior
const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

// Values (C, H, W) in [0, 1] on a canvas of as many pixels.
function paint(canvas, values, [channels, height, width]) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height), pixels = height * width;
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = 255 * values[(channels === 1 ? 0 : c) * pixels + i];
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function laplace() {
  return Math.log(1 - Math.random()) - Math.log(1 - Math.random());
}

const modalities = Object.entries(page.modalities).map(([name, { shape, examples }]) => {
  const values = Float32Array.from(bytes(examples), (byte) => byte / 255), each = size(shape);
  return { name, shape, example: (i) => values.subarray(i * each, (i + 1) * each) };
});
const judgeConstants = unpack(page.judges.constants);

function verdict(name, values) {
  if (!(name in page.judges.networks)) return "";
  const [shares] = forward(page.judges.networks[name], judgeConstants, values);
  const digit = shares.indexOf(Math.max(...shares));
  return `reads as ${digit} (${Math.round(100 * shares[digit])} %)`;
}

class Run {
  constructor(about) {
    Object.assign(this, about, { constants: unpack(about.constants) });
    this.z = Float32Array.from(about.prior.loc);
    this.ends = [this.z, this.z]; // between which one goes
    this.given = null; // location and scale of the last posterior
    this.pictures = Object.keys(this.decode).map((name) => ({ name, canvas: element("canvas"), says: element("span") }));
    this.map = element("canvas", { className: "map", width: 332, height: 332, title: "Click to decode a point" });
    this.map.setAttribute("role", "img");
    this.map.setAttribute("aria-label", `Codes of test images under ${this.name}, in two principal components`);
    this.map.addEventListener("click", (event) => this.go(this.at(event.offsetX, event.offsetY)));
    const sliders = element("div", { className: "sliders" });
    this.sliders = this.latents.map(({ latent, label }) => {
      const input = element("input", { type: "range", min: -REACH, max: REACH, step: 0.05, id: `${this.name} z${latent}` });
      const output = element("output");
      sliders.append(element("label", { htmlFor: input.id, textContent: label }), input, output);
      input.addEventListener("input", () => moved(this, latent, Number(input.value)));
      return { latent, input, output };
    });
    const figures = this.pictures.map(({ name, canvas, says }) =>
      element("figure", {}, canvas, element("figcaption", {}, element("b", { textContent: name }), " ", says)));
    this.note = element("p", { className: "note" });
    this.section = element("section", {}, element("h2", { textContent: this.name }), this.note,
      element("div", { className: "pictures" }, ...figures), this.map, sliders);
  }

  go(z) {
    this.z = Float32Array.from(z);
    for (const { name, canvas, says } of this.pictures) {
      const [values] = forward(this.decode[name], this.constants, this.z);
      paint(canvas, values, page.modalities[name].shape);
      says.textContent = verdict(name, values);
    }
    for (const { latent, input, output } of this.sliders) {
      const deviations = (this.z[latent] - this.prior.loc[latent]) / this.prior.std[latent];
      input.value = deviations;
      output.textContent = deviations.toFixed(2);
    }
    this.drawMap();
  }

  // `more`: of an image that is still being drawn.
  condition(name, values, more) {
    const takes = name in this.encode;
    this.note.textContent = takes ? "" : `takes no ${name}; shown is the prior's centre`;
    const [loc, scale] = takes ? forward(this.encode[name], this.constants, values) : [this.prior.loc, this.prior.scale];
    this.given = takes ? { loc, scale } : null;
    this.ends = [this.ends[more ? 0 : 1], loc];
    this.go(loc);
  }

  sample({ loc, scale }) {
    const noise = this.laplace ? laplace : normal;
    this.go(loc.map((value, d) => value + scale[d] * noise()));
  }

  at(x, y) {
    const { centre, axes, reach } = this.plane, side = this.map.clientWidth;
    const [u, v] = [(2 * x) / side - 1, 1 - (2 * y) / side].map((part) => part * reach);
    return centre.map((value, d) => value + u * axes[0][d] + v * axes[1][d]);
  }

  drawMap() {
    const context = this.map.getContext("2d"), side = this.map.width, { centre, axes, reach, points } = this.plane;
    const place = (u, v) => [((u / reach + 1) * side) / 2, ((1 - v / reach) * side) / 2];
    context.clearRect(0, 0, side, side);
    Object.assign(context, { font: "11px sans-serif", textAlign: "center", textBaseline: "middle" });
    points.forEach(([u, v, digit]) => {
      context.fillStyle = COLOURS[digit];
      context.fillText(digit, ...place(u, v));
    });
    const [u, v] = axes.map((axis) => axis.reduce((sum, a, d) => sum + a * (this.z[d] - centre[d]), 0));
    const [x, y] = place(u, v).map((part) => Math.min(Math.max(part, 6), side - 6));
    context.strokeStyle = getComputedStyle(this.map).color;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 6, 0, 2 * Math.PI);
    context.stroke();
  }
}

const runs = page.runs.map((about) => new Run(about));
const linked = element("input", { type: "checkbox", checked: true });
const way = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1 });
const pen = element("canvas", { className: "pen", width: 28, height: 28 });
let pressed = null;

function moved(run, latent, deviations) {
  const place = run.latents.findIndex((one) => one.latent === latent);
  for (const other of linked.checked ? runs : [run]) {
    const own = other === run ? latent : other.latents[place]?.latent; // the same rank by KL
    if (own === undefined) continue;
    const z = Float32Array.from(other.z);
    z[own] = other.prior.loc[own] + deviations * other.prior.std[own];
    other.go(z);
  }
}

function condition(name, values, { button = null, more = false } = {}) {
  pressed?.setAttribute("aria-pressed", "false");
  pressed = button;
  pressed?.setAttribute("aria-pressed", "true");
  way.value = 1;
  for (const run of runs) run.condition(name, values, more);
}

function strip({ name, shape, example }) {
  const buttons = page.shown.map((i) => {
    const canvas = element("canvas"), button = element("button", { type: "button" }, canvas);
    button.setAttribute("aria-label", `${name}, a test image of ${page.digits[i]}`);
    button.setAttribute("aria-pressed", "false");
    paint(canvas, example(i), shape);
    button.addEventListener("click", () => condition(name, example(i), { button }));
    return button;
  });
  return element("fieldset", {}, element("legend", { textContent: `Given ${name}` }), element("div", { className: "strip" }, ...buttons));
}

// A pen on a canvas of the modality's own pixels: 28 x 28, white on black.
function drawing({ name, shape }) {
  const ink = new Float32Array(size(shape)), clear = element("button", { type: "button", textContent: "Clear" });
  const [, height, width] = shape;
  paint(pen, ink, shape);
  let last = null, due = 0, first = true; // the pen's place while it is down; whether the runs have seen this image
  const stroke = (event) => {
    const place = [(event.offsetX / pen.clientWidth) * width - 0.5, (event.offsetY / pen.clientHeight) * height - 0.5];
    const from = last ?? place, parts = Math.ceil(2 * Math.hypot(place[0] - from[0], place[1] - from[1])) || 1;
    for (let part = 1; part <= parts; part++) {
      const [x, y] = place.map((to, d) => from[d] + (part / parts) * (to - from[d]));
      for (let i = 0; i < height; i++)
        for (let j = 0; j < width; j++)
          ink[i * width + j] = Math.max(ink[i * width + j], Math.min(1, 2.2 - Math.hypot(i - y, j - x)));
    }
    last = place;
    paint(pen, ink, shape);
    due ||= requestAnimationFrame(() => {
      due = 0;
      condition(name, ink, { more: !first });
      first = false;
    });
  };
  pen.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pen.setPointerCapture(event.pointerId);
    first = first || pressed !== null; // another image has been chosen since
    stroke(event);
  });
  pen.addEventListener("pointermove", (event) => { if (last) stroke(event); });
  for (const end of ["pointerup", "pointercancel"]) pen.addEventListener(end, () => { last = null; });
  clear.addEventListener("click", () => { ink.fill(0); paint(pen, ink, shape); first = true; });
  return element("fieldset", { className: "pen-box" }, element("legend", { textContent: `Draw ${name}` }), pen, clear);
}

function button(text, action) {
  const made = element("button", { type: "button", textContent: text });
  made.addEventListener("click", () => runs.forEach(action));
  return made;
}

way.addEventListener("input", () => runs.forEach((run) =>
  run.go(run.ends[0].map((value, d) => value + Number(way.value) * (run.ends[1][d] - value)))));
const hand = modalities.find(({ shape }) => shape[0] === 1);
document.getElementById("given").append(...modalities.map(strip), ...(hand ? [drawing(hand)] : []));
document.getElementById("actions").append(
  button("Mean of the posterior", (run) => run.given && run.go(run.given.loc)),
  button("Sample of the posterior", (run) => run.given && run.sample(run.given)),
  button("Sample of the prior", (run) => run.sample(run.prior)),
  button("Centre", (run) => run.go(run.prior.loc)),
  element("label", {}, "from the image before to this one ", way),
  ...(runs.length > 1 ? [element("label", {}, linked, " sliders move all runs")] : []));
document.getElementById("runs").append(...runs.map((run) => run.section));
for (const run of runs) run.go(run.z);
condition(modalities[0].name, modalities[0].example(page.shown[0]));
