"use strict";
(() => {
  const AROUND = 0.25; // seconds played before and after a name
  const at = (id) => document.getElementById(id);
  const data = JSON.parse(at("tasks").textContent);
  const tasks = data.utterances.flatMap((utterance, clip) => utterance.tasks.map((task) => ({ task, utterance, clip })));
  const player = at("player");
  const form = at("entry");
  const field = at("correction");
  const reviewer = at("reviewer");
  const memory = `rollcall.reviews ${data.key}`;

  // What was answered: by number of the task, by id of the utterance. It is all that is kept.
  let answers = { reviewer: "", verdicts: {}, missed: {}, whole: {} };
  let saved = true;
  let current = 0;
  let marking = null; // [first, last] word while a missed name is marked
  let asking = null; // what to do with the text that is typed

  const keep = () => {
    saved = false;
    try {
      localStorage.setItem(memory, JSON.stringify(answers));
    } catch {
      // A browser that keeps nothing: the file still can be saved.
    }
  };
  try {
    answers = JSON.parse(localStorage.getItem(memory)) ?? answers;
  } catch {
    // As above.
  }
  reviewer.value = answers.reviewer;
  reviewer.addEventListener("input", () => {
    answers.reviewer = reviewer.value;
    keep();
  });

  const now = () => new Date().toISOString();
  const say = (text) => (at("said").textContent = text);
  const here = () => tasks[current];
  const missedHere = () => answers.missed[here().utterance.utterance_id] ?? [];

  const show = () => {
    const { task, utterance, clip } = here();
    const verdict = answers.verdicts[current];
    const done = Object.keys(answers.verdicts).length;
    const whole = Boolean(answers.whole[task.utterance_id]);
    at("place").textContent =
      `Task ${current + 1} of ${tasks.length}, ${done} judged. ${task.utterance_id}` + (whole ? ". Heard whole." : ".");
    at("asking").textContent =
      task.entity === null ? "No name was proposed: listen for one that was missed." : `Was this said: ${task.entity}?`;
    at("alternative").textContent = task.alternative ? `Without the list: ${task.alternative}` : "";
    at("sentence").replaceChildren(
      ...utterance.words.flatMap(([word, start, end], index) => {
        const mark = document.createElement("span");
        mark.textContent = word;
        const proposed =
          task.entity !== null && start < task.end_seconds - 0.001 && end > task.start_seconds + 0.001;
        if (proposed) mark.className = "e";
        if (marking && index >= marking[0] && index <= marking[1]) mark.className = "d";
        return [mark, " "];
      }),
    );
    at("missed-names").replaceChildren(
      ...missedHere().map((one) => {
        const item = document.createElement("li");
        item.textContent = `missed: ${one.correction} (${one.text})`;
        return item;
      }),
    );
    for (const button of document.querySelectorAll("[data-do]")) {
      const action = button.dataset.do;
      if (["accepted", "rejected", "corrected"].includes(action)) {
        button.disabled = task.entity === null;
        button.setAttribute("aria-pressed", String(verdict?.verdict === action));
      }
      if (action === "whole") button.setAttribute("aria-pressed", String(whole));
    }
    const sound = at(`clip-${clip}`);
    if (sound && player.src !== sound.value) player.src = sound.value;
    player.hidden = !sound;
    const correction = verdict?.correction ? `: ${verdict.correction}` : "";
    say(verdict ? `${verdict.verdict}${correction}` : "");
  };

  const play = (start, end) => {
    if (!player.src) return say("This utterance has no sound.");
    const go = () => {
      player.currentTime = Math.max(0, start);
      player.ontimeupdate = () => {
        if (player.currentTime >= end) player.pause();
      };
      player.onpause = () => (player.ontimeupdate = null);
      player.play();
    };
    if (player.readyState >= 1) go();
    else {
      player.addEventListener("loadedmetadata", go, { once: true });
      player.load();
    }
  };

  const ask = (question, value, then) => {
    asking = then;
    at("asked").textContent = question;
    field.value = value;
    form.hidden = false;
    field.focus();
    field.select();
  };
  const endAsking = () => {
    asking = null;
    marking = null;
    form.hidden = true;
    field.blur();
    show();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim().replace(/\s+/g, " ");
    if (!text) return say("Type a name, or Escape.");
    const then = asking;
    endAsking();
    then(text);
  });

  const judge = (verdict, correction) => {
    answers.verdicts[current] = { verdict, correction: correction ?? null, reviewed_at: now() };
    keep();
    show();
  };
  const go = (step) => {
    current = Math.min(tasks.length - 1, Math.max(0, current + step));
    show();
  };

  const addMissed = (first, last) => {
    const { utterance } = here();
    const words = utterance.words.slice(first, last + 1);
    ask("The missed name:", "", (correction) => {
      const one = {
        start_seconds: words[0][1],
        end_seconds: Math.min(words.at(-1)[2], utterance.duration),
        text: words.map(([word]) => word).join(" "),
        correction,
        reviewed_at: now(),
      };
      answers.missed[utterance.utterance_id] = [...missedHere(), one];
      keep();
      show();
    });
  };

  const rows = () => {
    const found = [];
    for (const utterance of data.utterances) {
      const id = utterance.utterance_id;
      const whole = answers.whole[id];
      const before = found.length;
      const row = (fields) =>
        found.push({ run: data.run, utterance_id: id, reviewer: reviewer.value.trim() || null, ...fields, whole: Boolean(whole) });
      tasks.forEach(({ task }, number) => {
        if (task.utterance_id !== id || !answers.verdicts[number]) return;
        const { alternative, ...fields } = task;
        row({ ...fields, ...answers.verdicts[number] });
      });
      const { probability } = utterance.tasks[0];
      for (const one of answers.missed[id] ?? []) row({ entity: null, verdict: "missed", probability, ...one });
      if (whole && found.length === before) {
        const text = utterance.words.map(([word]) => word).join(" ");
        const span = { start_seconds: 0, end_seconds: utterance.duration };
        row({ ...span, entity: null, text, verdict: null, correction: null, probability, reviewed_at: whole });
      }
    }
    return found;
  };
  const save = () => {
    const reviews = rows();
    const text = JSON.stringify({ format: data.format, run: data.run, tasks: tasks.length, reviews }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `reviews-${data.run}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
    saved = true;
    say(`Saved ${reviews.length} reviews in ${link.download}.`);
  };

  const actions = {
    play: () => play(here().task.start_seconds - AROUND, here().task.end_seconds + AROUND),
    "whole-sound": () => play(0, Infinity),
    accepted: () => judge("accepted"),
    rejected: () => judge("rejected"),
    corrected: () => ask("What was said:", answers.verdicts[current]?.correction ?? here().task.entity, (text) => judge("corrected", text)),
    missed: () => {
      if (!here().utterance.words.length) return say("The run wrote no word here, so there is no place to mark.");
      marking = [0, 0];
      show();
      say("Arrow keys choose a word, Shift and arrow several; Enter takes them, Escape none.");
    },
    whole: () => {
      const id = here().utterance.utterance_id;
      if (answers.whole[id]) delete answers.whole[id];
      else answers.whole[id] = now();
      keep();
      show();
    },
    clear: () => {
      delete answers.verdicts[current];
      delete answers.missed[here().utterance.utterance_id];
      delete answers.whole[here().utterance.utterance_id];
      keep();
      show();
    },
    previous: () => go(-1),
    next: () => go(1),
    save,
  };
  const needName = ["accepted", "rejected", "corrected"];
  const act = (action) => {
    if (needName.includes(action) && here().task.entity === null) return say("No name was proposed here.");
    actions[action]();
  };
  const keys = {
    " ": "play", p: "whole-sound", a: "accepted", r: "rejected", c: "corrected", m: "missed", w: "whole",
    u: "clear", b: "previous", n: "next", s: "save", ArrowLeft: "previous", ArrowRight: "next",
  }; // prettier-ignore

  const mark = (event) => {
    const last = here().utterance.words.length - 1;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const to = Math.min(last, Math.max(event.shiftKey ? marking[0] : 0, marking[1] + step));
      marking = [event.shiftKey ? marking[0] : to, to];
      show();
    } else if (event.key === "Enter") addMissed(...marking);
    else if (event.key === "Escape") endAsking();
    else if (event.key === " ") {
      const words = here().utterance.words;
      play(words[marking[0]][1] - AROUND, words[marking[1]][2] + AROUND);
    } else return;
    event.preventDefault();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && asking) return endAsking();
    if (event.target.closest("input, summary, audio")) return;
    if (marking && !asking) return mark(event);
    if (event.target.closest("button") && (event.key === " " || event.key === "Enter")) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || asking) return;
    event.preventDefault();
    act(action);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) act(button.dataset.do);
  });
  window.addEventListener("beforeunload", (event) => {
    if (!saved) event.preventDefault();
  });
  if (tasks.length) show();
})();
