// Where nodes are: edges pull, nodes push each other away, and all of it comes to rest.
//
// How much all others push a node is summed up by a tree of squares (Barnes and Hut), so that a
// step with 10,000 nodes takes some milliseconds.

const DISTANCE = 40; // that an edge wants
const PUSH = 90;
const NEAR = 1; // square of the ratio from which on a square counts as one node
const REACH = 1500 ** 2; // beyond it nobody pushes
const HOME = 0.015; // pull to the middle
const FRICTION = 0.6;
const REST = 0.005;
const COOLING = 0.03;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));

export class Forces {
  constructor() {
    this.count = 0;
    this.x = new Float64Array(1024);
    this.y = new Float64Array(1024);
    this.vx = new Float64Array(1024);
    this.vy = new Float64Array(1024);
    this.held = -1; // the node in somebody's hand
    this.heat = 0;
    this.links = []; // [source, target], flat
    this.degrees = [];
    this.born = []; // children of each node so far
    this.squares = new Squares();
  }

  get resting() {
    return this.heat < REST;
  }

  // Put a node beside another one (-1: in the middle); returns its number.
  add(parent) {
    const node = this.count;
    if (node === this.x.length) this.#grow();
    const turn = parent < 0 ? 0 : this.born[parent]++;
    const far = parent < 0 ? node * 0.01 : DISTANCE * 0.5 * Math.sqrt(turn + 1);
    this.x[node] = (this.x[parent] ?? 0) + far * Math.cos(turn * GOLDEN + node * 0.01);
    this.y[node] = (this.y[parent] ?? 0) + far * Math.sin(turn * GOLDEN + node * 0.01);
    this.vx[node] = this.vy[node] = 0;
    this.degrees.push(0);
    this.born.push(0);
    this.count++;
    return node;
  }

  link(source, target) {
    this.links.push(source, target);
    this.degrees[source]++;
    this.degrees[target]++;
  }

  warm(heat) {
    this.heat = Math.max(this.heat, heat);
  }

  step() {
    const { x, y, vx, vy, count, heat } = this;
    this.heat *= 1 - COOLING;
    this.#pull(heat);
    this.squares.build(x, y, count);
    for (let node = 0; node < count; node++) {
      this.squares.push(node, x, y, vx, vy, heat * PUSH);
      vx[node] = (vx[node] - x[node] * HOME * heat) * FRICTION;
      vy[node] = (vy[node] - y[node] * HOME * heat) * FRICTION;
    }
    for (let node = 0; node < count; node++) {
      if (node === this.held) continue;
      x[node] += vx[node];
      y[node] += vy[node];
    }
  }

  #pull(heat) {
    const { x, y, vx, vy, links, degrees } = this;
    for (let at = 0; at < links.length; at += 2) {
      const a = links[at];
      const b = links[at + 1];
      if (a === b) continue;
      let dx = x[b] + vx[b] - x[a] - vx[a] || 0.001;
      let dy = y[b] + vy[b] - y[a] - vy[a] || 0.001;
      const length = Math.hypot(dx, dy);
      const strength = ((length - DISTANCE) / length) * heat / Math.min(degrees[a], degrees[b]);
      const share = degrees[a] / (degrees[a] + degrees[b]);
      dx *= strength;
      dy *= strength;
      vx[b] -= dx * share;
      vy[b] -= dy * share;
      vx[a] += dx * (1 - share);
      vy[a] += dy * (1 - share);
    }
  }

  #grow() {
    for (const name of ["x", "y", "vx", "vy"]) {
      const wider = new Float64Array(this[name].length * 2);
      wider.set(this[name]);
      this[name] = wider;
    }
  }
}

// A tree of squares: each has up to four inside it, or a node; and knows its weight and middle.
class Squares {
  constructor() {
    this.room = 0;
  }

  build(x, y, count) {
    if (this.room < count * 4 + 64) this.#reserve(count * 4 + 64);
    let low = Infinity;
    let high = -Infinity;
    for (let node = 0; node < count; node++) {
      low = Math.min(low, x[node], y[node]);
      high = Math.max(high, x[node], y[node]);
    }
    this.low = low;
    this.size = Math.max(1, high - low);
    this.used = 0;
    this.#open();
    for (let node = 0; node < count; node++) this.#insert(node, x, y);
    this.#weigh(x, y);
  }

  // Add to the speed of a node what all others do to it.
  push(node, x, y, vx, vy, strength) {
    const { inside, holds, weight, mx, my, stack, sizes } = this;
    let top = 0;
    stack[0] = 0;
    sizes[0] = this.size;
    while (top >= 0) {
      const square = stack[top];
      const size = sizes[top--];
      if (weight[square] === 0 || holds[square] === node) continue;
      const dx = mx[square] - x[node] || 0.01 * (node % 7) + 0.01;
      const dy = my[square] - y[node] || 0.01 * (node % 5) + 0.01;
      const far = dx * dx + dy * dy;
      if (holds[square] >= 0 || size * size < far * NEAR) {
        if (far > REACH) continue;
        const force = (-strength * weight[square]) / Math.max(far, 4);
        vx[node] += dx * force;
        vy[node] += dy * force;
        continue;
      }
      for (let quarter = 0; quarter < 4; quarter++) {
        const child = inside[square * 4 + quarter];
        if (child < 0) continue;
        stack[++top] = child;
        sizes[top] = size / 2;
      }
    }
  }

  #reserve(room) {
    this.room = room * 2;
    this.inside = new Int32Array(this.room * 4);
    this.holds = new Int32Array(this.room);
    this.weight = new Float64Array(this.room);
    this.mx = new Float64Array(this.room);
    this.my = new Float64Array(this.room);
    this.stack = new Int32Array(1024);
    this.sizes = new Float64Array(1024);
  }

  #open() {
    const square = this.used++;
    this.inside.fill(-1, square * 4, square * 4 + 4);
    this.holds[square] = -1;
    this.weight[square] = 0;
    return square;
  }

  #insert(node, x, y) {
    let square = 0;
    let left = this.low;
    let top = this.low;
    let half = this.size / 2;
    for (let depth = 0; ; depth++) {
      const other = this.holds[square];
      if (this.weight[square] === 0) {
        this.holds[square] = node;
        this.weight[square] = 1;
        return;
      }
      // Where two are at one place, or there is no room: one stands for both.
      if (depth > 40 || this.used + 2 > this.room) {
        this.weight[square]++;
        return;
      }
      if (other >= 0) {
        this.holds[square] = -1;
        const home = this.#child(square, x[other], y[other], left, top, half);
        this.holds[home] = other;
        this.weight[home] = this.weight[square];
      }
      this.weight[square]++;
      const next = this.#child(square, x[node], y[node], left, top, half);
      if (x[node] >= left + half) left += half;
      if (y[node] >= top + half) top += half;
      half /= 2;
      square = next;
    }
  }

  #child(square, x, y, left, top, half) {
    const quarter = (x >= left + half ? 1 : 0) + (y >= top + half ? 2 : 0);
    const place = square * 4 + quarter;
    if (this.inside[place] < 0) this.inside[place] = this.#open();
    return this.inside[place];
  }

  // A square inside another one has the higher number.
  #weigh(x, y) {
    for (let square = this.used - 1; square >= 0; square--) {
      const node = this.holds[square];
      if (node >= 0) {
        this.mx[square] = x[node];
        this.my[square] = y[node];
        continue;
      }
      let sx = 0;
      let sy = 0;
      let all = 0;
      for (let quarter = 0; quarter < 4; quarter++) {
        const child = this.inside[square * 4 + quarter];
        if (child < 0) continue;
        sx += this.mx[child] * this.weight[child];
        sy += this.my[child] * this.weight[child];
        all += this.weight[child];
      }
      this.mx[square] = all ? sx / all : 0;
      this.my[square] = all ? sy / all : 0;
    }
  }
}
