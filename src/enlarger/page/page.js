"use strict";
(() => {
  const of = (id) => document.getElementById(id);
  const root = document.documentElement;
  root.classList.add("live");

  const stage = of("stage");
  const split = of("split");
  const slide = () => {
    stage.style.setProperty("--split", split.value + "%");
    split.setAttribute("aria-valuetext", split.value + " % source, " + (100 - split.value) + " % result");
  };
  split.addEventListener("input", slide);
  slide();

  const heat = document.querySelector(".heat");
  const heatOn = of("heat-on");
  const strength = of("strength");
  if (heat) {
    const show = () => {
      heat.hidden = !heatOn.checked;
      strength.disabled = !heatOn.checked;
      of("legend").classList.toggle("on", heatOn.checked);
      heat.style.opacity = strength.value / 100;
    };
    heatOn.addEventListener("change", show);
    strength.addEventListener("input", show);
    show();
  }

  const framesOn = of("frames-on");
  const frame = () => stage.classList.toggle("framed", framesOn.checked);
  framesOn.addEventListener("change", frame);
  frame();

  const command = of("command");
  const said = of("copied");
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(command);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const byHand = () => {
    select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { done = false; }
    said.textContent = done ? "Copied." : "Selected; press Ctrl+C, or Cmd+C on a Mac.";
  };
  of("copy").addEventListener("click", () => {
    if (!navigator.clipboard) return byHand();
    navigator.clipboard.writeText(command.textContent).then(() => { said.textContent = "Copied."; }, byHand);
  });

  of("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([of("report").textContent], { type: "application/json" }));
    link.download = "enlarger-report.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();
