// Shows one panel of each set of tabs at a time; arrow keys, Home and End go from tab to tab.
"use strict";
for (const group of document.querySelectorAll(".tabs")) {
  const tabs = [...group.querySelectorAll(":scope > .tablist > [role=tab]")];
  const choose = (chosen) => tabs.forEach((tab) => {
    tab.setAttribute("aria-selected", tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  });
  const places = {
    ArrowRight: (at) => at + 1, ArrowLeft: (at) => at - 1 + tabs.length, Home: () => 0, End: () => tabs.length - 1,
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      if (!(event.key in places)) return;
      event.preventDefault();
      const next = tabs[places[event.key](at) % tabs.length];
      choose(next);
      next.focus();
    });
  });
  group.querySelector(".tablist").hidden = false;
  choose(tabs[0]);
}
