// What the server says: parts of the graph, and who is asking.

const CSRF = /(?:__Host-)?jac-csrf=([^;]+)/;
const KEPT = "jac_token"; // where jaclang's client keeps its token, on the same origin

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Server {
  constructor() {
    this.token = localStorage.getItem(KEPT);
    this.cookies = true; // false: those of before have ended, and would be refused
  }

  // Whether there is something to sign out of.
  get signedIn() {
    return Boolean(this.token) || (this.cookies && CSRF.test(document.cookie));
  }

  // Nodes with what is around them; without places, the caller's root.
  around(places, limit) {
    const query = new URLSearchParams(places.map((place) => ["at", place]));
    query.set("limit", limit);
    return this.#read(`graph/data?${query}`);
  }

  search(text) {
    return this.#read(`graph/search?${new URLSearchParams({ text })}`);
  }

  me() {
    return this.#send("user/me");
  }

  async signIn(username, password) {
    // In a cookie that no script reads, where the server keeps sessions so; else in this page.
    const headers = { "Content-Type": "application/json", "X-Session": "cookie" };
    const body = JSON.stringify({ username, password });
    [this.token, this.cookies] = [null, true];
    const told = await this.#send("user/login", { method: "POST", headers, body });
    this.token = told.token ?? null;
  }

  async signOut() {
    const signingOut = this.#send("user/logout", { method: "POST" }); // sent before we forget
    this.forget();
    await signingOut.catch(() => {}); // it had ended already
  }

  forget() {
    [this.token, this.cookies] = [null, false];
  }

  async #read(path) {
    try {
      return await this.#send(path);
    } catch (error) {
      // What another tab left behind may have ended; then nobody is signed in.
      if (error.status !== 401 || !this.signedIn) throw error;
      this.forget();
      return this.#send(path);
    }
  }

  async #send(path, options = {}) {
    const headers = { ...options.headers };
    const csrf = document.cookie.match(CSRF);
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    else if (csrf && this.cookies) headers["X-CSRF-Token"] = csrf[1];
    const credentials = this.cookies ? "same-origin" : "omit";
    let answer, told;
    try {
      answer = await fetch(path, { ...options, headers, credentials });
      told = await answer.json();
    } catch {
      throw new Refused(0, "the server does not answer");
    }
    if (!answer.ok) throw new Refused(answer.status, told.error?.message ?? `status ${answer.status}`);
    return told.data;
  }
}
