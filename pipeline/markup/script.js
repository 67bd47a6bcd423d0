"use strict";
(() => {
  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    const raw = cell.dataset.v ?? cell.textContent;
    const number = Number(raw.replace(/%$/, ""));
    return raw !== "" && !Number.isNaN(number) ? number : raw.toLowerCase();
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

  // Each clip stands once in the page, as data; players in any number of figures are connected to it by name.
  const connect = (part) => {
    for (const player of part.querySelectorAll("audio[data-clip]")) {
      if (!player.src) player.src = document.getElementById(player.dataset.clip).value;
    }
  };
  connect(document);

  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) =>
      header.querySelector("button").addEventListener("click", () => {
        const ascending = header.getAttribute("aria-sort") === "descending";
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const bodies = [...table.tBodies];
        bodies.sort((a, b) => compare(value(a, column), value(b, column)) * (ascending ? 1 : -1));
        table.append(...bodies);
      }),
    );
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button.open");
      if (!button) return;
      const detail = document.getElementById(button.getAttribute("aria-controls"));
      detail.querySelectorAll("template").forEach((template) => template.replaceWith(template.content));
      connect(detail);
      detail.hidden = !detail.hidden;
      button.setAttribute("aria-expanded", String(!detail.hidden));
    });
  }

  // A word plays the clip of its figure from there, the button of an entity only the entity; one clip at a time.
  let playing = null;
  document.addEventListener("click", (event) => {
    const word = event.target.closest("[data-t]");
    const player = word?.closest("figure").querySelector("audio");
    if (!player) return;
    const end = Number(word.dataset.end ?? Infinity);
    const play = () => {
      if (playing && playing !== player) playing.pause();
      playing = player;
      player.currentTime = Number(word.dataset.t);
      player.ontimeupdate = () => {
        if (player.currentTime >= end) player.pause();
      };
      player.onpause = () => (player.ontimeupdate = null);
      player.play();
    };
    if (player.readyState >= 1) play();
    else {
      player.addEventListener("loadedmetadata", play, { once: true });
      player.load();
    }
  });

  const search = document.getElementById("entity-search");
  if (search) {
    const bodies = [...document.getElementById("entities").tBodies];
    const texts = new Map(bodies.map((body) => [body, body.rows[0].textContent.toLowerCase()]));
    const count = document.getElementById("entity-count");
    const buttons = [...document.querySelectorAll("button[data-filter]")];
    let kind = "all";
    const apply = () => {
      const wanted = search.value.trim().toLowerCase();
      let shown = 0;
      for (const body of bodies) {
        const labels = (body.dataset.labels ?? "").split(" ");
        body.hidden = !(texts.get(body).includes(wanted) && (kind === "all" || labels.includes(kind)));
        shown += body.hidden ? 0 : 1;
      }
      count.textContent = `${shown} of ${bodies.length} entities`;
    };
    search.addEventListener("input", apply);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        kind = button.dataset.filter;
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        apply();
      });
    }
    apply();
  }
})();
