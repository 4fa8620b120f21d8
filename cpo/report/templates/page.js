// Draws every figure of the page in the colours of the reader's theme, and again when the theme changes.
"use strict";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const css = getComputedStyle(document.documentElement);
  const ink = css.getPropertyValue("--ink").trim();
  const muted = css.getPropertyValue("--muted").trim();
  const line = css.getPropertyValue("--line").trim();
  const surface = css.getPropertyValue("--surface").trim();
  const themed = {
    ...layout,
    font: { family: css.getPropertyValue("--sans"), size: 13, color: muted },
    hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: ink } },
  };
  for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
    themed[axis] = { ...layout[axis], gridcolor: line, linecolor: line, tickcolor: line, zerolinecolor: line };
  }
  return themed;
}

function draw(plot) {
  const figure = JSON.parse(plot.querySelector("script").textContent);
  const config = { displayModeBar: false };
  const canvas = plot.querySelector(".canvas") || plot.appendChild(document.createElement("div"));
  canvas.className = "canvas";
  Plotly.react(canvas, figure.data, themed(figure.layout), config).then(() => { plot.dataset.drawn = "true"; });
}

const plots = [...document.querySelectorAll(".plot")];
plots.forEach(draw);
dark.addEventListener("change", () => plots.forEach(draw));
const sizes = new ResizeObserver((changed) =>
  changed.filter(({ target }) => target.dataset.drawn && target.clientWidth).forEach(({ target }) =>
    Plotly.Plots.resize(target.querySelector(".canvas"))));
plots.forEach((plot) => sizes.observe(plot));
