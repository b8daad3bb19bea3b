// The canvas: draws nodes and edges where the forces put them, and hears what a hand does.

import { Forces } from "./graph-forces.js";

const RADIUS = 7;
const CLOSE = 0.7; // scale from which on names and arrows are drawn
const MOST_NAMES = 400;
const BUDGET = 12; // ms of a frame for forces
const REACH = 6; // px around a node that count as on it

export class Picture {
  // `select` is called with the node that was clicked on, or null.
  constructor(canvas, select) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.select = select;
    this.clear();
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  clear() {
    this.forces = new Forces();
    this.nodes = [];
    this.edges = [];
    this.chosen = this.over = null;
    this.scale = 1;
    this.shift = { x: 0, y: 0 };
    this.following = true; // fit all of it, until somebody moves it
    this.wake();
  }

  addNode(node, parent) {
    node.place = this.forces.add(parent ? parent.place : -1);
    node.color = colorOf(node.class);
    this.nodes.push(node);
  }

  addEdge(edge) {
    this.edges.push(edge);
    this.forces.link(edge.from.place, edge.to.place);
  }

  // Go on moving after something was added.
  stir(heat = 0.8) {
    this.forces.warm(heat);
    this.wake();
  }

  choose(node) {
    this.chosen = node;
    this.wake();
  }

  show(node) {
    this.following = false;
    this.scale = Math.max(this.scale, 1);
    this.centred = node;
    this.choose(node);
  }

  fit() {
    this.following = true;
    this.centred = null;
    this.wake();
  }

  wake() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    this.waiting = 0;
    const began = performance.now();
    while (!this.forces.resting && performance.now() - began < BUDGET) this.forces.step();
    if (this.following) this.#fitNow();
    else if (this.centred) this.#centreNow();
    this.#draw();
    if (!this.forces.resting) this.wake();
  }

  // The part of the canvas that is under nothing.
  #room() {
    const narrow = innerWidth <= 700;
    return narrow
      ? { left: 0, top: 60, width: innerWidth, height: innerHeight * 0.55 - 70 }
      : { left: 0, top: 60, width: innerWidth - 344, height: innerHeight - 70 };
  }

  #fitNow() {
    const { x, y, count } = this.forces;
    if (!count) return;
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let node = 0; node < count; node++) {
      left = Math.min(left, x[node]);
      right = Math.max(right, x[node]);
      top = Math.min(top, y[node]);
      bottom = Math.max(bottom, y[node]);
    }
    const room = this.#room();
    const wide = (room.width - 60) / Math.max(1, right - left);
    const high = (room.height - 60) / Math.max(1, bottom - top);
    this.scale = Math.min(1.5, wide, high);
    this.shift = {
      x: room.left + room.width / 2 - ((left + right) / 2) * this.scale,
      y: room.top + room.height / 2 - ((top + bottom) / 2) * this.scale,
    };
  }

  #centreNow() {
    const room = this.#room();
    const { x, y } = this.forces;
    this.shift = {
      x: room.left + room.width / 2 - x[this.centred.place] * this.scale,
      y: room.top + room.height / 2 - y[this.centred.place] * this.scale,
    };
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = this.canvas.clientWidth * ratio;
    this.canvas.height = this.canvas.clientHeight * ratio;
    this.wake();
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const { pen } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, innerWidth, innerHeight);
    const seen = this.nodes.filter((node) => this.#onScreen(node));
    this.#drawEdges();
    this.#drawNodes(seen);
    if (this.scale >= CLOSE && seen.length <= MOST_NAMES) this.#drawNames(seen);
    else this.#drawNames([]);
  }

  #drawEdges() {
    const { pen } = this;
    const arrows = this.scale >= CLOSE && this.edges.length <= 4 * MOST_NAMES;
    const near = [];
    pen.strokeStyle = "#b6c0cc";
    pen.lineWidth = Math.min(1.2, Math.max(0.3, this.scale));
    pen.beginPath();
    for (const edge of this.edges) {
      if (edge.from === this.chosen || edge.to === this.chosen) near.push(edge);
      else this.#line(edge, arrows);
    }
    pen.stroke();
    pen.strokeStyle = "#1f6feb";
    pen.lineWidth = 1.6;
    pen.beginPath();
    for (const edge of near) this.#line(edge, near.length <= MOST_NAMES);
    pen.stroke();
    if (this.scale >= CLOSE && near.length <= 12) this.#nameEdges(near);
  }

  #line(edge, arrow) {
    const { pen } = this;
    const [ax, ay] = this.#at(edge.from);
    const [bx, by] = this.#at(edge.to);
    if (edge.from === edge.to) {
      pen.moveTo(ax + 2 * RADIUS, ay - RADIUS);
      pen.arc(ax + RADIUS, ay - RADIUS, RADIUS, 0, 2 * Math.PI);
      return;
    }
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
    if (!arrow || !edge.directed) return;
    const angle = Math.atan2(by - ay, bx - ax);
    const tip = [bx - Math.cos(angle) * (RADIUS + 2), by - Math.sin(angle) * (RADIUS + 2)];
    for (const side of [-0.45, 0.45]) {
      pen.moveTo(...tip);
      pen.lineTo(tip[0] - 7 * Math.cos(angle + side), tip[1] - 7 * Math.sin(angle + side));
    }
  }

  #nameEdges(edges) {
    const { pen } = this;
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = "#1f6feb";
    pen.textAlign = "center";
    for (const edge of edges) {
      if (edge.class === "GenericEdge") continue;
      const [ax, ay] = this.#at(edge.from);
      const [bx, by] = this.#at(edge.to);
      pen.fillText(edge.class, (ax + bx) / 2, (ay + by) / 2 - 3);
    }
  }

  #drawNodes(seen) {
    const { pen } = this;
    const radius = Math.max(1.2, RADIUS * Math.min(1, this.scale));
    const tiny = radius < 2.5;
    for (const node of seen) {
      const [x, y] = this.#at(node);
      pen.fillStyle = node.color;
      if (tiny) {
        pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
        continue;
      }
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
      if (!node.opened || node.more) this.#ring(x, y, radius + 2.5, node.color, 1);
    }
    for (const node of [this.chosen, this.over]) {
      if (node) this.#ring(...this.#at(node), radius + 4, "#1f6feb", 2);
    }
  }

  #ring(x, y, radius, color, width) {
    const { pen } = this;
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.stroke();
  }

  #drawNames(nodes) {
    const { pen } = this;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.strokeStyle = "#f6f8fa";
    pen.fillStyle = "#1c2430";
    const taken = new Set(); // squares of the canvas that have a name
    for (const node of [this.chosen, this.over, ...nodes]) {
      if (!node) continue;
      const [x, y] = this.#at(node);
      const name = node.name.length > 28 ? `${node.name.slice(0, 27)}…` : node.name;
      if (!claim(taken, x, y + RADIUS + 11, name.length * 6.5)) continue;
      pen.strokeText(name, x, y + RADIUS + 15);
      pen.fillText(name, x, y + RADIUS + 15);
    }
  }

  #at(node) {
    const { x, y } = this.forces;
    return [x[node.place] * this.scale + this.shift.x, y[node.place] * this.scale + this.shift.y];
  }

  #onScreen(node) {
    const [x, y] = this.#at(node);
    return x > -40 && y > -40 && x < innerWidth + 40 && y < innerHeight + 40;
  }

  #nodeAt(x, y) {
    const reach = RADIUS * Math.min(1, this.scale) + REACH;
    let best = reach * reach;
    let found = null;
    for (const node of this.nodes) {
      const [nx, ny] = this.#at(node);
      const far = (nx - x) ** 2 + (ny - y) ** 2;
      if (far < best) [best, found] = [far, node];
    }
    return found;
  }

  #listen() {
    const { canvas } = this;
    let hand = null; // where a press began, and on what
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      hand = { x: event.clientX, y: event.clientY, node: this.#nodeAt(event.clientX, event.clientY) };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (hand) this.#drag(hand, event);
      else this.#hover(event);
    });
    canvas.addEventListener("pointerup", () => {
      if (hand && !hand.moved) this.select(hand.node);
      this.forces.held = -1;
      hand = null;
    });
    canvas.addEventListener("pointercancel", () => {
      this.forces.held = -1;
      hand = null;
    });
    canvas.addEventListener("wheel", (event) => this.#zoom(event), { passive: false });
  }

  #drag(hand, event) {
    const dx = event.clientX - hand.x;
    const dy = event.clientY - hand.y;
    if (!hand.moved && Math.hypot(dx, dy) < 4) return;
    hand.moved = true;
    this.following = false;
    this.centred = null;
    if (hand.node) {
      this.forces.held = hand.node.place;
      this.forces.x[hand.node.place] += dx / this.scale;
      this.forces.y[hand.node.place] += dy / this.scale;
      this.forces.warm(0.2);
    } else {
      this.shift = { x: this.shift.x + dx, y: this.shift.y + dy };
    }
    hand.x = event.clientX;
    hand.y = event.clientY;
    this.wake();
  }

  #hover(event) {
    const over = this.#nodeAt(event.clientX, event.clientY);
    if (over === this.over) return;
    this.over = over;
    this.canvas.classList.toggle("over", Boolean(over));
    this.wake();
  }

  #zoom(event) {
    event.preventDefault();
    this.following = false;
    this.centred = null;
    const scale = Math.min(5, Math.max(0.01, this.scale * Math.exp(-event.deltaY * 0.0015)));
    const ratio = scale / this.scale;
    this.shift = {
      x: event.clientX - (event.clientX - this.shift.x) * ratio,
      y: event.clientY - (event.clientY - this.shift.y) * ratio,
    };
    this.scale = scale;
    this.wake();
  }
}

// Take the room of a text, unless some of it is taken.
function claim(taken, x, y, width) {
  const squares = [];
  for (let left = x - width / 2; left <= x + width / 2 + 12; left += 12)
    squares.push(`${Math.floor(left / 12)} ${Math.floor(y / 14)}`);
  if (squares.some((square) => taken.has(square))) return false;
  for (const square of squares) taken.add(square);
  return true;
}

// The same color for a class whenever it is seen.
export function colorOf(name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 3600;
  return name === "Root" ? "#1c2430" : `hsl(${hash / 10} 62% 46%)`;
}
