"use strict";
// The status page: asks for /api/page once a second and shows what has changed since. Everything
// that came from the relay is put into the page as text, never as markup.

const HISTORY = 120;      // points of the throughput's history
const WINDOW = 10;        // readings that the latency is of
const PATIENCE = 3000;    // milliseconds that an answer may take
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function short(number) {
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= unit) return (number / unit).toFixed(2) + "\u202f" + letter;
  }
  return number >= 10 || number === 0 ? number.toFixed(0) : number.toFixed(1);
}

const grouped = (number) => number.toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

function nanoseconds(time) {
  const digits = (number) => String(Number(number.toPrecision(3)));
  if (time >= 1e6) return digits(time / 1e6) + "\u202fms";
  if (time >= 1e3) return digits(time / 1e3) + "\u202f\u00b5s";
  return time + "\u202fns";
}

function upTime(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${seconds} s`;
}

// Seconds since the epoch, or a date in the ISO format; shown as 2026-11-27 13:14:10, of this place.
const dateOf = (when) => new Date(typeof when === "number" ? when * 1000 : when);
const clock = (when) => dateOf(when).toLocaleString("sv-SE");

async function ask(path) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  let body = null;
  try { body = await answer.json(); } catch { /* no JSON: its status says enough */ }
  return { status: answer.status, body };
}

const messageOf = (body, status) =>
  body?.message ?? body?.["ietf-restconf:errors"]?.error?.[0]?.["error-message"] ?? `the answer has status ${status}`;

// ---- throughput

const histories = { "to-b4": [], "from-b4": [] };

function path(points, most) {
  const step = 240 / (HISTORY - 1);
  const start = 240 - (points.length - 1) * step;
  return points.map((value, at) =>
    `${at ? "L" : "M"}${(start + at * step).toFixed(1)},${(54 - 50 * value / most).toFixed(1)}`).join("");
}

function showDirection(id, bits, packets) {
  const history = histories[id];
  history.push(bits);
  if (history.length > HISTORY) history.shift();
  const place = byId(id);
  place.querySelector("[data-is=bits]").textContent = short(bits) + "bit/s";
  place.querySelector("[data-is=packets]").textContent = short(packets) + " packets/s";
  if (history.length < 2) return;
  const line = path(history, Math.max(1, ...history));
  const left = 240 - (history.length - 1) * 240 / (HISTORY - 1);
  place.querySelector(".stroke").setAttribute("d", line);
  place.querySelector(".area").setAttribute("d", `${line}L240,56L${left.toFixed(1)},56Z`);
}

function showThroughput(before, now, seconds) {
  const rate = (side, key) => Math.max(0, (now.interfaces[side][key] - before.interfaces[side][key]) / seconds);
  // What came from the one side and left on the other, as it left.
  showDirection("to-b4", 8 * rate("internal", "out-bytes"), rate("internal", "out-packets"));
  showDirection("from-b4", 8 * rate("external", "out-bytes"), rate("external", "out-packets"));
}

// ---- drops

function showDrops(before, now, seconds, meanings) {
  const rows = [];
  for (const side of ["external", "internal"]) {
    for (const [reason, counted] of Object.entries(now.interfaces[side].drops)) {
      const then = before.interfaces[side].drops[reason]?.packets ?? 0;
      rows.push({ side, reason, total: counted.packets, rate: Math.max(0, (counted.packets - then) / seconds) });
    }
  }
  rows.sort((a, b) => b.rate - a.rate || b.total - a.total);
  const most = Math.max(1, ...rows.map((row) => row.rate));
  byId("no-drops").hidden = rows.length > 0;
  byId("drops").hidden = rows.length === 0;
  byId("drops").tBodies[0].replaceChildren(...rows.map((row) => {
    const line = element("tr", undefined, row.rate > 0 ? "now" : "");
    const name = element("td");
    name.append(element("b", row.reason), " ", element("span", row.side, "hint"), element("small", (meanings[row.reason] ?? "").replaceAll("`", "")));
    if (row.rate > 0) {
      const bar = drawn("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
      bar.append(drawn("rect", { width: 100 * row.rate / most, height: 4, rx: 1 }));
      name.append(bar);
    }
    line.append(name, element("td", short(row.rate), "n"), element("td", grouped(row.total), "n"));
    return line;
  }));
}

// ---- latency: counts by bucket since the start; what is shown is the difference of two readings

const readings = [];

function showLatency(latency) {
  readings.push(latency.counts);
  if (readings.length > WINDOW + 1) readings.shift();
  const first = readings[0];
  const counts = latency.counts.map((count, at) => Math.max(0, count - first[at]));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const picture = byId("histogram");
  const most = Math.max(1, ...counts);
  const width = 480 / counts.length;
  const parts = [drawn("line", { x1: 0, x2: 480, y1: 146, y2: 146 })];
  counts.forEach((count, at) => {
    if (!count) return;
    const height = Math.max(1.5, 136 * count / most);
    const bar = drawn("rect", { x: at * width + .5, y: 146 - height, width: width - 1, height, rx: 1 });
    bar.append(drawn("title", {}, `up to ${nanoseconds(latency.bounds[at])}: ${grouped(count)} packets`));
    parts.push(bar);
  });
  latency.bounds.forEach((bound, at) => {
    if (/^10*$/.test(String(bound))) {
      const anchor = at === 0 ? "start" : at === latency.bounds.length - 1 ? "end" : "middle";
      parts.push(drawn("text", { x: at === 0 ? 0 : (at + 1) * width, y: 164, "text-anchor": anchor }, nanoseconds(bound)));
    }
  });
  picture.replaceChildren(...parts);
  const percentile = (share) => {
    let seen = 0;
    const at = counts.findIndex((count) => (seen += count) >= share * total && seen > 0);
    if (at < 0) return "\u2013";
    // The last bucket has all that took longer.
    const isLast = at === counts.length - 1;
    return isLast ? ">\u202f" + nanoseconds(latency.bounds[at - 1]) : "\u2264\u202f" + nanoseconds(latency.bounds[at]);
  };
  byId("percentiles").replaceChildren(...[["median", .5], ["99 %", .99], ["99.9 %", .999]].map(([name, share]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", total ? percentile(share) : "\u2013"));
    return pair;
  }));
  picture.setAttribute("aria-label", total ? `Histogram of latency: median ${percentile(.5)}, 99 percent ${percentile(.99)}` : "No packets in the last ten seconds");
}

// ---- alarms and events

function entry(when, title, detail, className) {
  const item = element("li", undefined, className);
  if (when) { const time = element("time", clock(when)); time.dateTime = dateOf(when).toISOString(); item.append(time); }
  item.append(element("b", title));
  if (detail) item.append(element("small", detail));
  return item;
}

function showAlarms(alarms) {
  const items = alarms.map((alarm) => {
    const place = [alarm.side, alarm.about].filter(Boolean).join(", ");
    const rest = alarm.until ? ` \u2013 over since ${clock(alarm.until)}` : ": " + alarm.remedy;
    return entry(alarm.since, alarm.name, `${place}: ${alarm.text}${rest}`, alarm.until ? "" : "raised");
  });
  byId("alarms").replaceChildren(...(items.length ? items : [element("li", "None.", "hint")]));
}

function showEvents(events) {
  const items = events.map((event) => {
    const outcome = event.outcome === "done" ? "" : ` (${event.outcome})`;
    return entry(event.time, event.action + outcome, [event.what, event.detail].filter(Boolean).join(": "));
  });
  byId("events").replaceChildren(...(items.length ? items : [element("li", "No changes have been noted.", "hint")]));
}

// ---- who owns it

function showSoftwire(softwire) {
  const place = element("div", undefined, "softwire");
  const list = element("dl");
  const ports = softwire["psid-len"] === 0 ? "all" : softwire.ports.join(", ");
  for (const [name, value] of [["IPv4 address", softwire.ipv4], ["PSID", softwire["psid-len"] === 0 ? null : `${softwire.psid} of ${2 ** softwire["psid-len"]}`], ["Ports", ports], ["B4", softwire["b4-ipv6"]], ["BR", softwire["br-ipv6"]]]) {
    if (value !== null && value !== undefined) list.append(element("dt", name), element("dd", value));
  }
  place.append(list);
  return place;
}

byId("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const what = byId("what").value.trim();
  const found = byId("found");
  try {
    const { status, body } = await ask("/api/lookup?what=" + encodeURIComponent(what));
    if (status === 200 && body.softwires.length) found.replaceChildren(...body.softwires.map(showSoftwire));
    else found.replaceChildren(element("p", status === 200 ? `Nobody owns ${what}.` : messageOf(body, status), "no"));
    if (status === 401) byId("login").hidden = false;
  } catch {
    found.replaceChildren(element("p", "The relay does not answer.", "no"));
  }
});

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value.trim());
  byId("token").value = "";
  byId("login").hidden = true;
  look();
});

// ---- the loop

let last = null;
let silentSince = null;

function state(words, className) {
  byId("state").textContent = words;
  byId("state").className = "pill " + className;
}

function trouble(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
  document.body.classList.toggle("stale", Boolean(words));
}

function show(page) {
  const now = performance.now();
  const { status } = page;
  byId("name").textContent = status.name;
  document.title = status.name + " \u2013 lwaftr";
  byId("about").textContent = `up ${upTime(status["uptime-seconds"])} \u00b7 ${grouped(status.softwires)} softwires \u00b7 ${status.workers} ${status.workers === 1 ? "worker" : "workers"} \u00b7 version ${status.version}`;
  if (last && last.page.status.pid !== status.pid) { last = null; readings.length = 0; }
  if (last) {
    const seconds = (now - last.at) / 1000;
    showThroughput(last.page.stats, page.stats, seconds);
    showDrops(last.page.stats, page.stats, seconds, page.meanings);
  } else {
    showDrops(page.stats, page.stats, 1, page.meanings);
  }
  showLatency(page.latency);
  showAlarms(page.alarms);
  showEvents(page.events);
  const raised = page.alarms.filter((alarm) => !alarm.until).length;
  if (raised) state(raised === 1 ? "1 alarm" : `${raised} alarms`, "bad");
  else state("no alarms", "good");
  last = { at: now, page };
}

let looking = false;

async function look() {
  if (looking) return;
  looking = true;
  try {
    const { status, body } = await ask("/api/page");
    if (status === 200) {
      silentSince = null;
      trouble("");
      show(body);
    } else if (status === 401 || status === 403) {
      byId("login").hidden = false;
      state("not allowed", "bad");
      trouble(messageOf(body, status));
    } else {
      throw new Error(messageOf(body, status));
    }
  } catch {
    silentSince ??= new Date();
    state("no answer", "bad");
    trouble(`The relay has not answered since ${silentSince.toLocaleTimeString("sv-SE")}. What is shown is the last that it said; trying again every second.`);
  } finally {
    looking = false;
  }
}

look();
setInterval(() => { if (!document.hidden) look(); }, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
