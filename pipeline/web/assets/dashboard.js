// Charts answer to pointer, touch and arrow keys. Without this the links, their titles and the tables say the same.
"use strict";
for (const figure of document.querySelectorAll("figure.interactive")) {
  const readout = figure.querySelector(".readout");
  readout.hidden = false;
  figure.querySelector(".hint").hidden = false;
  for (const chart of figure.querySelectorAll("svg.history")) {
    const weeks = [...chart.querySelectorAll(".week")];
    const show = week => {
      for (const other of figure.querySelectorAll(".week.shown")) other.classList.remove("shown");
      week.classList.add("shown");
      readout.replaceChildren();
      for (const [name, tag] of [["week", "span"], ["value", "b"], ["interval", "span"], ["verdict", "span"], ["trust", "span"]]) {
        const text = week.dataset[name];
        if (!text) continue;
        const part = document.createElement(tag);
        part.textContent = text;
        readout.append(part);
      }
    };
    const go = n => {
      const week = weeks[Math.min(Math.max(n, 0), weeks.length - 1)];
      for (const other of weeks) other.setAttribute("tabindex", other === week ? "0" : "-1");
      week.focus();
    };
    weeks.forEach((week, n) => {
      week.addEventListener("pointerenter", () => show(week));
      week.addEventListener("focus", () => show(week));
      // A first tap shows the week, a second one opens its report.
      week.addEventListener("pointerdown", event => { week.dataset.first = event.pointerType !== "mouse" && figure.dataset.tapped !== String(n) ? "1" : ""; });
      week.addEventListener("click", event => {
        if (week.dataset.first) { event.preventDefault(); figure.dataset.tapped = String(n); show(week); }
        week.dataset.first = "";
      });
      week.addEventListener("keydown", event => {
        const step = { ArrowLeft: n - 1, ArrowRight: n + 1, Home: 0, End: weeks.length - 1 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        go(step);
      });
    });
    if (chart.getBoundingClientRect().width > 0 && weeks.length) show(weeks[weeks.length - 1]);
  }
}
