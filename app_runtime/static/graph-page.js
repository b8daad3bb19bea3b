// The page: what is known of the graph so far, the panel beside it, and what buttons do.

import { Server } from "./graph-data.js";
import { Picture, colorOf } from "./graph-picture.js";

const PART = 200; // edges that a click asks for
const LARGE_PART = 1000; // the same when all is opened
const TOGETHER = 50; // nodes that are opened at once
const MOST = 10000; // nodes that are opened unasked
const NAMES = ["name", "title", "label", "subject", "text", "username", "email"];

const server = new Server();
const picture = new Picture(element("picture"), (node) => (node ? select(node) : unselect()));
let nodes, edges, start, selected, opening;

function element(id) {
  return document.getElementById(id);
}

function make(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text; // text, never markup: fields are anybody's
  if (name) made.className = name;
  return made;
}

// What somebody started, with its error told; a later start makes the answers of before void.
let turn = 0;
async function attempt(work) {
  const mine = turn;
  try {
    element("trouble").hidden = true;
    await work(() => mine === turn);
  } catch (error) {
    if (mine !== turn) return;
    element("trouble").textContent = error.message;
    element("trouble").hidden = false;
  }
}

function begin() {
  turn++;
  nodes = new Map();
  edges = new Map();
  start = selected = null;
  opening = false;
  picture.clear();
  element("found").hidden = element("selected").hidden = true;
  element("open-all").textContent = "Open all";
  tellCount();
  tellLegend();
  return attempt(async (current) => {
    const told = await server.around([], PART).finally(() => current() && tellWho());
    if (!current()) return;
    take(told, []);
    start = nodes.get(told.start);
    show(start);
  });
}

// Add what the server told; the places that were asked for are open now, or have more.
function take(told, places) {
  const fresh = new Map(told.nodes.filter((one) => !nodes.has(one.id)).map((one) => [one.id, one]));
  for (const one of told.nodes) if (nodes.has(one.id)) renew(nodes.get(one.id), one);
  if (!nodes.size && fresh.size) put(fresh.get(told.start) ?? fresh.values().next().value, null, fresh);
  // Each beside one that is there already; the server tells them in no such order.
  for (let left = -1; fresh.size && left !== fresh.size; ) {
    left = fresh.size;
    for (const edge of told.edges) {
      if (nodes.has(edge.source) && fresh.has(edge.target)) put(fresh.get(edge.target), nodes.get(edge.source), fresh);
      if (nodes.has(edge.target) && fresh.has(edge.source)) put(fresh.get(edge.source), nodes.get(edge.target), fresh);
    }
  }
  for (const one of [...fresh.values()]) put(one, null, fresh);
  for (const edge of told.edges) join(edge);
  for (const place of places.length ? places : [told.start]) {
    const node = nodes.get(place?.slice(0, 32));
    if (node) [node.opened, node.more] = [true, null];
  }
  for (const place of told.more ?? []) nodes.get(place.slice(0, 32)).more = place;
  if (nodes.size) picture.stir();
  tellCount();
  tellLegend();
}

function put(one, parent, fresh) {
  fresh.delete(one.id);
  const node = { ...one, name: nameOf(one), opened: false, more: null };
  nodes.set(node.id, node);
  picture.addNode(node, parent);
}

function renew(node, told) {
  const longer = Object.entries(told.fields).some(([name, text]) => text.length > (node.fields[name] ?? "").length);
  if (longer || !node.opened) Object.assign(node, { fields: told.fields, name: nameOf(told) });
}

function join(edge) {
  if (edges.has(edge.id)) return;
  const joined = { ...edge, from: nodes.get(edge.source), to: nodes.get(edge.target) };
  edges.set(edge.id, joined);
  picture.addEdge(joined);
}

function nameOf(one) {
  const name = NAMES.find((field) => one.fields[field]);
  return name ? one.fields[name] : one.class;
}

function select(node) {
  show(node);
  if (!node.opened) open(node);
}

function open(node) {
  const place = node.more ?? node.id;
  return attempt(async (current) => {
    const told = await server.around([place], PART);
    if (!current()) return;
    take(told, [place]);
    if (selected === node) show(node);
  });
}

async function openAll() {
  if (opening) return void (opening = false);
  opening = true;
  element("open-all").textContent = "Stop";
  await attempt(async (current) => {
    while (opening && nodes.size < MOST) {
      const closed = [...nodes.values()].filter((node) => !node.opened || node.more);
      if (!closed.length) break;
      const places = closed.slice(0, TOGETHER).map((node) => node.more ?? node.id);
      const told = await server.around(places, LARGE_PART);
      if (!current()) return;
      take(told, places);
    }
    if (selected) show(selected);
  });
  opening = false;
  element("open-all").textContent = "Open all";
}

function unselect() {
  selected = null;
  picture.choose(null);
  element("selected").hidden = true;
}

function show(node) {
  selected = node;
  picture.choose(node);
  const panel = element("selected");
  panel.hidden = false;
  panel.replaceChildren(heading(node), make("p", node.id, "id"), fieldsOf(node));
  const around = [...edges.values()].filter((edge) => edge.from === node || edge.to === node);
  panel.append(make("p", counted(around.length, "edge"), "soft"));
  const list = make("ul");
  for (const edge of around.slice(0, 100)) list.append(wayOf(node, edge));
  panel.append(list);
  if (around.length > 100) panel.append(make("p", `and ${around.length - 100} more`, "soft"));
  if (node.more) panel.append(button(`Show ${PART} more`, () => open(node)));
}

function heading(node) {
  const title = make("h2");
  const mark = make("span", "", "dot");
  mark.style.background = node.color;
  title.append(mark, node.class);
  return title;
}

function fieldsOf(of) {
  const list = make("dl");
  for (const [name, text] of Object.entries(of.fields)) list.append(make("dt", name), make("dd", text));
  return list;
}

function wayOf(node, edge) {
  const other = edge.from === node ? edge.to : edge.from;
  const arrow = edge.directed ? (edge.from === node ? "→" : "←") : "—";
  const kind = edge.class === "GenericEdge" ? "" : ` ${edge.class}`;
  const item = make("li");
  item.append(button(`${arrow}${kind} ${other.name}`, () => go(other)));
  if (Object.keys(edge.fields).length) item.append(fieldsOf(edge));
  return item;
}

function button(text, act) {
  const made = make("button", text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function go(node) {
  picture.show(node);
  select(node);
}

function search(text) {
  return attempt(async (current) => {
    const told = await server.search(text);
    if (!current()) return;
    take({ ...told, more: [] }, [null]);
    const panel = element("found");
    const list = make("ul");
    for (const id of told.found) {
      const item = make("li");
      item.append(button(`${nodes.get(id).class}: ${nodes.get(id).name}`, () => go(nodes.get(id))));
      list.append(item);
    }
    const looked = told.all ? "" : `, and there may be more: the search saw ${told.looked_at} nodes`;
    panel.replaceChildren(make("h2", `${told.found.length} found${looked}`), list);
    panel.hidden = false;
    if (told.found.length === 1) go(nodes.get(told.found[0]));
  });
}

function tellCount() {
  element("count").textContent = `${counted(nodes.size, "node")}, ${counted(edges.size, "edge")}`;
}

function counted(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function tellLegend() {
  const counts = new Map();
  for (const node of nodes.values()) counts.set(node.class, (counts.get(node.class) ?? 0) + 1);
  const list = make("ul");
  for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12)) {
    const item = make("li");
    const mark = make("span", "", "dot");
    mark.style.background = colorOf(name);
    item.append(mark, `${name} `, make("span", count, "soft"));
    list.append(item);
  }
  element("legend").replaceChildren(list);
}

function tellWho() {
  element("sign-in").hidden = server.signedIn;
  element("signed-in").hidden = !server.signedIn;
  element("as-whom").textContent = "Sign in to see your graph. Until then: what anonymous callers share, where the server shows that.";
  if (server.signedIn) attempt(async () => (element("name").textContent = (await server.me()).username));
}

element("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(new FormData(event.target).get("text"));
});
element("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  attempt(async () => {
    await server.signIn(given.get("username"), given.get("password"));
    event.target.reset();
    await begin();
  });
});
element("sign-out").addEventListener("click", () => server.signOut().then(begin));
addEventListener("keydown", (event) => event.key === "Escape" && unselect());
element("open-all").addEventListener("click", openAll);
element("fit").addEventListener("click", () => picture.fit());
begin();
