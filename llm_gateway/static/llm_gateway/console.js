// The console's moving parts: times that pass, buttons that copy, the live tail of requests, the figures of home.
// Nothing here is needed to read or change anything: without it pages are as they were when they were drawn.
"use strict";
(() => {
  const EVERY_MS = 2000;
  const SLOWEST_MS = 30000;
  const REQUEST = /\/requestlog\/([0-9a-f-]{36})\/change\//;
  const UNITS = [[90, "s", 1], [5400, "min", 60], [129600, "h", 3600], [5184000, "days", 86400]];

  function span(seconds) {
    for (const [limit, unit, size] of UNITS) {
      if (seconds < limit) return `${Math.round(seconds / size)} ${unit}`;
    }
    return `${Math.round(seconds / 2592000)} months`;
  }

  // The same words as _show.ago.
  function passed(at) {
    const seconds = Date.now() / 1000 - at;
    if (Math.abs(seconds) < 1.5) return "just now";
    return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  }

  function tick() {
    for (const one of document.querySelectorAll("[data-at]")) {
      const text = passed(Number(one.dataset.at));
      if (one.textContent !== text) one.textContent = text;
    }
  }

  function copy(button) {
    const from = document.getElementById(button.dataset.copy);
    const text = from.value === undefined ? from.textContent : from.value;
    const done = () => {
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = before; }, 1500);
    };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(text).then(done);
      return;
    }
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
    done();
  }

  // Ask again and again while the page is looked at; slower while the gateway does not answer.
  function repeat(every, ask) {
    let wait = every;
    const again = async () => {
      if (!document.hidden) {
        try {
          const more = await ask();
          wait = every;
          if (more === false) return;
        } catch (error) {
          wait = Math.min(wait * 2, SLOWEST_MS);
        }
      }
      setTimeout(again, wait);
    };
    setTimeout(again, every);
    document.addEventListener("visibilitychange", () => { wait = every; });
  }

  async function fetched(url) {
    const answer = await fetch(url, { headers: { "X-Requested-With": "XMLHttpRequest" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  function live(place) {
    const table = () => document.getElementById("result_list");
    const button = place.querySelector("button");
    const said = place.querySelector("[data-live-said]");
    const idOf = (body) => {
      const link = [...body.querySelectorAll("a[href]")].map((a) => REQUEST.exec(a.getAttribute("href"))).find(Boolean);
      return link ? link[1] : "";
    };
    const rows = () => (table() ? [...table().tBodies] : []);
    let paused = sessionStorage.getItem("cogo-live") === "paused";
    let came = 0;

    const show = () => {
      button.setAttribute("aria-pressed", String(!paused));
      place.querySelector("[data-live-text]").textContent = paused ? "Paused" : "Live";
      if (paused) said.textContent = "Press to let new requests appear.";
      else said.textContent = came ? `${came} new since this page was opened.` : "New requests appear by themselves.";
    };
    button.addEventListener("click", () => {
      paused = !paused;
      sessionStorage.setItem("cogo-live", paused ? "paused" : "");
      show();
    });
    show();

    const url = new URL(place.dataset.live, location.href);
    const beginning = new Date().getTime();
    repeat(EVERY_MS, async () => {
      if (paused) return true;
      const known = rows();
      const newest = known.length ? idOf(known[0]) : "";
      url.searchParams.set("newest", newest || idAt(beginning));
      url.searchParams.set("open", known.filter((body) => body.querySelector(".cogo-badge")?.textContent === "open").map(idOf).join(","));
      const answer = await fetched(url);
      if (answer.status === 204) return true;
      const drawn = new DOMParser().parseFromString(await answer.text(), "text/html");
      const given = drawn.getElementById("result_list");
      if (!given) return true;
      if (!table()) {
        location.reload();
        return false;
      }
      const places = new Map(rows().map((body) => [idOf(body), body]));
      for (const body of [...given.tBodies].reverse()) {
        const id = idOf(body);
        const old = places.get(id);
        if (old) {
          if (old.querySelector(".cogo-badge")?.textContent !== body.querySelector(".cogo-badge")?.textContent) old.replaceWith(body);
          continue;
        }
        const first = rows()[0];
        if (first && idOf(first) > id) continue;
        table().insertBefore(body, first || null);
        body.classList.add("cogo-new");
        came += 1;
      }
      for (const body of rows().slice(50)) body.remove();
      show();
      return true;
    });
  }

  // The smallest id that a request of this moment can have.
  function idAt(ms) {
    const hex = ms.toString(16).padStart(12, "0");
    return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
  }

  // An element that is drawn anew: its content is what the address answers, unless that is 204.
  function refresh(place) {
    repeat(Number(place.dataset.every || 10) * 1000, async () => {
      if (place.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return true;
      const answer = await fetched(place.dataset.refresh);
      if (answer.status === 204) return true;
      const drawn = new DOMParser().parseFromString(await answer.text(), "text/html");
      const held = document.activeElement && place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      for (const canvas of place.querySelectorAll("canvas.chart")) window.Chart?.getChart(canvas)?.destroy();
      place.replaceChildren(...drawn.body.childNodes);
      for (const canvas of place.querySelectorAll("canvas.chart")) draw(canvas);
      if (held) [...place.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === held)?.focus({ preventScroll: true });
      return true;
    });
  }

  function draw(canvas) {
    const { type, value, options } = canvas.dataset;
    new window.Chart(canvas.getContext("2d"), { type, data: JSON.parse(value), options: JSON.parse(options) });
    jumps(canvas);
  }

  // A bar leads to the requests behind it: one address per label and per series, where the chart gives them.
  function jumps(canvas) {
    if (!canvas.dataset.jumps) return;
    const to = JSON.parse(canvas.dataset.jumps);
    canvas.style.cursor = "pointer";
    canvas.addEventListener("click", (event) => {
      const chart = window.Chart.getChart(canvas);
      const [hit] = chart ? chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, true) : [];
      const url = hit && to[hit.datasetIndex] && to[hit.datasetIndex][hit.index];
      if (url) location.assign(url);
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  // Reports may be of the reader's own days.
  function zones(select) {
    const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (mine && ![...select.options].some((one) => one.value === mine)) select.add(new Option(`${mine} (yours)`, mine));
  }

  // Toggles and boxes in lists, and filters, have a name on the screen only; whoever listens hears it, too.
  function name(root) {
    for (const one of root.querySelectorAll("#result_list td input, #result_list td select, #result_list th input")) {
      if (one.getAttribute("aria-label") || one.type === "hidden") continue;
      const cell = one.closest("td, th");
      const row = one.closest("tr")?.querySelector("th a, td a")?.textContent.trim().replace(/\s+/g, " ") || "this row";
      one.setAttribute("aria-label", `${cell.dataset.label || "select"}: ${row}`);
    }
    for (const one of root.querySelectorAll("input, select, textarea")) {
      if (one.type === "hidden" || one.labels?.length || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")) continue;
      const said = one.title || one.placeholder || one.closest("[data-label]")?.dataset.label
        || one.closest(".field-line")?.querySelector("label, .readonly-label")?.textContent || one.name.replaceAll("_", " ");
      if (said) one.setAttribute("aria-label", said.trim());
    }
    for (const one of root.querySelectorAll(".help-tooltip[aria-label]")) one.setAttribute("role", "img");
    for (const one of root.querySelectorAll(".select2-selection")) {
      const of = one.closest(".select2")?.previousElementSibling;
      const said = of?.labels?.[0]?.textContent.trim() || of?.getAttribute("aria-label");
      if (!said) continue;
      for (const part of [one, ...one.querySelectorAll("[role=textbox]")]) part.setAttribute("aria-label", said);
    }
    for (const one of root.querySelectorAll("[data-simplebar], .overflow-x-auto, pre.cogo-text")) {
      if (!one.hasAttribute("tabindex") && one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    }
  }

  function begin() {
    name(document);
    // Boxes that are drawn later, such as Unfold's select boxes, are named once they are there.
    addEventListener("load", () => setTimeout(() => name(document), 200));
    setInterval(tick, 1000);
    document.querySelectorAll("[data-zones]").forEach(zones);
    document.querySelectorAll("[data-live]").forEach(live);
    document.querySelectorAll("[data-refresh]").forEach(refresh);
    document.querySelectorAll("canvas[data-jumps]").forEach(jumps);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
