// Chains of thought: the results behind the token that is pointed at or focused, in the track itself and in the one beside it.
"use strict";
for (const article of document.querySelectorAll(".thinking")) {
  const { results, top, truth, z } = JSON.parse(article.querySelector("script").textContent);
  const tracks = [...article.querySelectorAll(".track")].map((node, number) => ({
    node, number, z: z[number], tokens: [...node.querySelectorAll(".token")],
  }));
  const named = [...top.map((k) => results[k]), ...(top.length < results.length ? ["all others"] : [])];

  /** The drawn shares of one distribution: each of the top results, then the others together. */
  function shares(row) {
    const drawn = top.map((k) => row[k]);
    const others = row.reduce((sum, p) => sum + p, 0) - drawn.reduce((sum, p) => sum + p, 0);
    return named.length > top.length ? [...drawn, Math.max(0, others)] : drawn;
  }

  /** Bands of the results over the tokens, stacked to 1. */
  function drawFlow(track) {
    const flow = track.node.querySelector(".flow");
    const rows = track.z.map(shares);
    const below = rows.map(() => 0);
    named.forEach((_, band) => {
      const low = rows.map((_, i) => `${i},${1 - below[i]}`);
      rows.forEach((row, i) => { below[i] += row[band]; });
      const high = rows.map((_, i) => `${i},${1 - below[i]}`);
      const shape = document.createElementNS(flow.namespaceURI, "polygon");
      shape.setAttribute("points", [...low, ...high.reverse()].join(" "));
      shape.setAttribute("class", `c${band < top.length ? band : 5}`);
      flow.append(shape);
    });
    track.cursor = flow.appendChild(document.createElementNS(flow.namespaceURI, "line"));
    track.cursor.setAttribute("y1", 0);
    track.cursor.setAttribute("y2", 1);
  }

  function drawBars(track) {
    const list = track.node.querySelector(".bars");
    const ends = shares(tracks[0].z.at(-1));
    track.bars = named.map((name, band) => {
      const row = list.appendChild(document.createElement("div"));
      const term = row.appendChild(document.createElement("dt"));
      term.textContent = truth.includes(name) ? `${name} (true)` : name;
      term.title = term.textContent;
      const bar = row.appendChild(document.createElement("dd"));
      bar.className = "bar";
      const fill = bar.appendChild(document.createElement("i"));
      fill.className = `c${band < top.length ? band : 5}`;
      const tick = bar.appendChild(document.createElement("u"));
      tick.style.left = `${100 * ends[band]}%`;
      tick.title = "at the end of the thinking as it was written";
      const value = row.appendChild(document.createElement("dd"));
      value.className = "p";
      return { row, fill, value };
    });
  }

  /** Shows one track at one cut: 0 is before the first token. */
  function show(track, cut, mark) {
    const row = shares(track.z[cut]);
    const most = row.indexOf(Math.max(...row.slice(0, top.length)));
    track.bars.forEach((bar, band) => {
      bar.fill.style.width = `${100 * row[band]}%`;
      bar.value.textContent = row[band].toFixed(2);
      bar.row.classList.toggle("leads", band === most);
    });
    track.cursor.setAttribute("x1", cut);
    track.cursor.setAttribute("x2", cut);
    const token = track.tokens[cut];
    const said = document.createElement("b");
    said.textContent = `“${token.textContent.trim()}”`;
    const rest = cut
      ? `, p ${Number(token.dataset.p).toFixed(2)}, drift ${Number(token.dataset.drift).toFixed(3)} bits` +
        (token.classList.contains("alarm") ? ", alarm ▾" : "")
      : "";
    track.node.querySelector(".at").replaceChildren(...(cut ? ["Behind ", said, rest] : ["Before the first token"]));
    track.tokens.forEach((other, i) => {
      other.classList.toggle("current", mark === "current" && i === cut);
      other.classList.toggle("linked", mark === "linked" && i === cut);
      other.setAttribute("aria-selected", String(i === cut));
      other.tabIndex = i === cut ? 0 : -1;
    });
    track.cut = cut;
  }

  /** Where a cut of one track stands in another: before or behind what differs, else nowhere. */
  function twin(from, to, cut) {
    const said = (track, i) => track.tokens[i]?.textContent;
    let head = 0;
    while (head < Math.min(from.tokens.length, to.tokens.length) && said(from, head) === said(to, head)) head += 1;
    let tail = 0;
    while (tail < Math.min(from.tokens.length, to.tokens.length) - head &&
      said(from, from.tokens.length - 1 - tail) === said(to, to.tokens.length - 1 - tail)) tail += 1;
    if (cut < head) return cut;
    return from.tokens.length - 1 - cut < tail ? to.tokens.length - from.tokens.length + cut : null;
  }

  function point(track, cut) {
    show(track, cut, "current");
    for (const other of tracks) {
      if (other === track) continue;
      const there = twin(track, other, cut);
      show(other, there ?? other.cut, there === null ? "" : "linked");
    }
  }

  tracks.forEach(drawFlow);
  tracks.forEach(drawBars);
  tracks.forEach((track) => show(track, track.tokens.length - 1, ""));
  for (const track of tracks) {
    const list = track.node.querySelector(".tokens");
    const cutOf = (event) => track.tokens.indexOf(event.target.closest(".token"));
    list.addEventListener("pointerover", (event) => { if (cutOf(event) >= 0) point(track, cutOf(event)); });
    list.addEventListener("focusin", (event) => { if (cutOf(event) >= 0) point(track, cutOf(event)); });
    list.addEventListener("keydown", (event) => {
      const last = track.tokens.length - 1;
      const to = { ArrowLeft: track.cut - 1, ArrowRight: track.cut + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      track.tokens[Math.min(last, Math.max(0, to))].focus();
    });
    track.node.querySelector(".flow").addEventListener("pointermove", (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      point(track, Math.round(((event.clientX - box.left) / box.width) * (track.tokens.length - 1)));
    });
  }
  article.addEventListener("change", ({ target }) => {
    if (target.name.endsWith("-colour")) article.dataset.colour = target.value;
    else tracks.slice(1).forEach((track) => { track.node.hidden = track.number !== Number(target.value); });
  });
  article.dataset.ready = "true";
}
