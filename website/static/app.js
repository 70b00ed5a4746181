// Switches, choosers, filters and charts of the pages. Every figure is in the page or in a data script beside it;
// nothing is fetched, so that pages open from disk.
"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  // ---- memory: the choices of a reader, where the browser lets a page keep them
  const recall = (key) => { try { return localStorage.getItem(`oretrace.${key}`); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(`oretrace.${key}`, value); } catch { /* not kept */ } };

  // ---- theme
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  if (recall("theme")) root.dataset.theme = recall("theme");
  const themeButton = () => $("#theme");
  const sayTheme = () => {
    const button = themeButton();
    if (!button) return;
    // It says what it does, not what is.
    button.textContent = dark() ? "Light theme" : "Dark theme";
    button.hidden = false;
  };

  // ---- data
  const received = new Map();
  const waiting = new Map();
  const names = {};
  const specs = {};
  const named = (code) => names[code] || code;
  const receive = (key, value) => {
    if (key === "names") Object.assign(names, value);
    else if (key === "specs") Object.assign(specs, value);
    else received.set(key, value);
    (waiting.get(key) || []).forEach((done) => done(received.get(key)));
    waiting.delete(key);
  };
  window.oretrace = { receive };
  const load = (key, path) => new Promise((done, failed) => {
    if (received.has(key)) return done(received.get(key));
    waiting.set(key, [...(waiting.get(key) || []), done]);
    if (waiting.get(key).length > 1) return undefined;
    const script = document.createElement("script");
    script.src = path;
    script.onerror = () => { waiting.delete(key); failed(new Error(`${path} is missing`)); };
    document.head.append(script);
    return undefined;
  });

  // What many parts of a file share is written once in it; charts name their columns once.
  const opened = (file, code) => {
    const part = { ...(code ? file.parts[code] : file.part) };
    part.html = part.html.map((place) => file.shared[place]).join("");
    part.series = Object.fromEntries(Object.entries(part.series || {}).map(([stage, item]) =>
      [stage, { ...item, y: file.shared[item.y], note: file.shared[item.note] }]));
    return part;
  };
  const rowsOf = (chart) => (chart.columns ? chart.rows.map((row) => Object.fromEntries(chart.columns.map((name, place) => [name, row[place]]))) : chart.rows);

  // ---- charts
  const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#7b9fd4", "#b0a8b9"];
  const REST = "#9aa0a6";
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const themed = (node) => {
    if (typeof node === "string") return node.startsWith("@") ? colour(node.slice(1)) : node;
    if (Array.isArray(node)) return node.map(themed);
    if (node && typeof node === "object") return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, themed(value)]));
    return node;
  };
  const config = () => {
    const ink = colour("ink");
    const muted = colour("quiet");
    return {
      aria: false,
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      range: { category: PALETTE },
      axis: { labelColor: ink, titleColor: muted, titleFontWeight: 400, labelFontSize: 12, titleFontSize: 12, gridColor: colour("line"),
        domainColor: colour("line"), tickColor: colour("line"), labelOverlap: true, labelSeparation: 8 },
      axisY: { labelOverlap: false },
      legend: { labelColor: ink, labelFontSize: 12, labelLimit: 0 },
      text: { color: ink },
    };
  };
  const fitLegend = (spec, width) => {
    const layers = spec.layer || [spec];
    for (const { encoding } of layers) {
      if (encoding && encoding.color && encoding.color.legend) encoding.color.legend.columns = Math.max(1, Math.floor(width / 150));
    }
  };
  const ranked = (spec, domain) => {
    // Countries keep their colour from chart to chart of a page; what is summed up is grey.
    const range = domain.map((name, place) => (/^Other/.test(name) ? REST : PALETTE[place % PALETTE.length]));
    for (const { encoding } of spec.layer || [spec]) {
      if (encoding && encoding.color && encoding.color.field) encoding.color.scale = { domain, range };
      if (encoding && encoding.shape && encoding.shape.field) encoding.shape.scale = { domain };
    }
  };

  const bend = (x0, y0, x1, y1) => `M${x0},${y0}C${(x0 + x1) / 2},${y0} ${(x0 + x1) / 2},${y1} ${x1},${y1}`;
  const layFlows = (flow, width) => {
    // Three columns: passed through the lead processor or not; who sold it; the importer.
    const scale = 2.4;
    const slot = (share) => Math.max(share * scale, 17) + 5;
    const middle = Math.round(width * (width < 480 ? 0.46 : 0.42));
    const nodes = [];
    const links = [];
    const place = (list, x, top, label) => {
      let y = top;
      return list.map((item) => {
        const h = Math.max(item.share * scale, 1);
        const node = { ...item, x, y: y + (slot(item.share) - 5 - h) / 2, h, at: 0, out: 0, align: "left", tx: x + 15 };
        node.ty = node.y + h / 2;
        node.label = label(item);
        y += slot(item.share);
        nodes.push(node);
        return node;
      });
    };
    const say = (share) => (share > 0 && share < 0.95 ? share.toFixed(1) : share.toFixed(0));
    const sellers = flow.sellers.map(([code, share, through]) => ({ code, share, passed: through, name: code === "+" ? "Other sellers" : named(code) }));
    const total = sellers.reduce((sum, item) => sum + slot(item.share), 0);
    const passed = sellers.reduce((sum, item) => sum + item.passed, 0);
    const whole = sellers.reduce((sum, item) => sum + item.share, 0);
    const sources = flow.through
      ? [{ name: `Through ${named(flow.through)}`, share: passed, through: true }, { name: "Not through it", share: whole - passed }].filter((item) => item.share > 0.005)
      : [];
    // Each column has a heading; the importer's stands above the others where they would meet.
    const top = 46;
    const height = top + Math.max(total, sources.reduce((sum, item) => sum + slot(item.share), 0), whole * scale) + 4;
    const from = (size) => top + (height - top - size) / 2;
    const left = place(sources, 0, from(sources.reduce((sum, item) => sum + slot(item.share), 0)), (item) => [item.name, `${say(item.share)} %`]);
    const centre = place(sellers, flow.through ? middle : 0, from(total), (item) =>
      `${item.code === flow.importer ? "Own output" : item.name} ${say(item.share)} %`);
    const end = { name: named(flow.importer), share: whole, x: width - 14, y: from(whole * scale), h: whole * scale, at: 0,
      label: `Supply of ${named(flow.importer)}, ${say(whole)} %`, tx: width - 5, ty: 9, align: "right" };
    nodes.push(end);
    const heading = (text, x) => nodes.push({ name: text, share: 0, x, y: 0, h: 0, label: text, tx: x, ty: 31, align: "left", heading: true });
    if (sources.length) heading(width < 480 ? "Passed through" : "What it passed through", 0);
    heading("Sold by", flow.through ? middle : 0);
    const join = (from, to, share, through) => {
      if (share < 0.005) return;
      const thick = Math.max(share * scale, 0.7);
      links.push({ source: from.name, target: to.name, share, thick, through,
        path: bend(from.x + 10, from.y + from.out + thick / 2, to.x, to.y + to.at + thick / 2) });
      from.out += share * scale;
      to.at += share * scale;
    };
    for (const source of left) for (const seller of centre) join(source, seller, source.through ? seller.passed : seller.share - seller.passed, Boolean(source.through));
    for (const seller of centre) { seller.out = 0; join(seller, end, seller.share, false); }
    return { nodes, links, height };
  };

  // Whole years only, as many as have room; without this an axis of two years reads 2024, 2025, 2025.
  const yearly = (spec, rows, width) => {
    const years = [...new Set(rows.map((row) => row.year))].sort((a, b) => a - b);
    const step = Math.ceil(years.length / Math.max(2, Math.floor(width / 60)));
    const values = years.filter((_, place) => (years.length - 1 - place) % step === 0);
    for (const { encoding } of spec.layer || [spec]) {
      if (!encoding || !encoding.x || encoding.x.field !== "year") continue;
      encoding.x.axis = { ...encoding.x.axis, values };
      encoding.x.scale = { zero: false, nice: false, padding: 12, domain: years.length > 1 ? [years[0], years.at(-1)] : [years[0] - 1, years[0] + 1] };
    }
  };

  const drawn = new Map();
  const draw = async (figure, given) => {
    const plot = $(".plot", figure);
    const chart = given && given.rows ? { ...given, columns: undefined, rows: rowsOf(given) } : given;
    const empty = !chart || !(chart.sellers || chart.rows || []).length;
    figure.hidden = empty;
    if (empty || !window.vegaEmbed) return;
    drawn.set(figure, chart);
    const spec = themed(structuredClone(specs[figure.dataset.kind]));
    const width = plot.clientWidth;
    if (figure.dataset.kind === "flows") {
      const laid = layFlows(chart, width);
      Object.assign(spec, { width: width - 4, height: laid.height });
      spec.data = [{ name: "links", values: laid.links }, { name: "nodes", values: laid.nodes }];
    } else if (figure.dataset.kind === "scatter") {
      spec.width = width;
      spec.height = width < 480 ? 420 : 520;
      spec.data[0].values = chart.rows;
    } else {
      spec.datasets = { rows: chart.rows };
      // Rows of a fixed height; Vega-Lite warns when it is to fit the width of a chart with steps.
      if (spec.height.step) spec.height = spec.height.step * new Set(chart.rows.map((row) => row.label)).size;
      // A legend begins where the plot does, right of the long labels of acts.
      fitLegend(spec, figure.dataset.kind === "timeline" ? width - 170 : width);
      if (chart.domain) ranked(spec, chart.domain);
      yearly(spec, chart.rows, width);
    }
    const done = await window.vegaEmbed(plot, spec, { renderer: "svg", actions: false, ast: true, logLevel: 1, defaultStyle: false, config: config(),
      tooltip: { disableDefaultStyle: true } });
    // One picture to a screen reader, named by its caption; the figures are in a table.
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `Chart. ${$("figcaption", figure).textContent}`);
    $("svg", plot).setAttribute("aria-hidden", "true");
    figure.dataset.drawn = String(Number(figure.dataset.drawn || 0) + 1);
    if (figure.vega) figure.vega.finalize();
    figure.vega = done;
    tabulate(figure, chart);
    markScrolled();
  };
  const tabulate = (figure, chart) => {
    // The same figures as a table, for those who cannot see or do not want a picture.
    const target = $(".as-table", figure);
    if (!target) return;
    const columns = JSON.parse(figure.dataset.columns);
    const rows = chart.sellers ? chart.sellers.map(([code, share, through]) => ({ seller: code === "+" ? "Other sellers" : named(code), share, through, evidence: chart.evidence })) : chart.rows;
    const table = document.createElement("table");
    const caption = table.createCaption();
    caption.textContent = $("figcaption", figure).textContent;
    const head = table.createTHead().insertRow();
    for (const [, title] of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const [key] of columns) {
        const value = row[key];
        line.insertCell().textContent = value === null || value === undefined ? "–" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(1) : String(value).replace("|", ", ");
      }
    }
    target.replaceChildren(table);
  };
  const redraw = () => drawn.forEach((chart, figure) => draw(figure, chart));

  // ---- what depends on the importer, and on the stage
  let page = { charts: {} };
  let series = {};
  let importer = "";
  const trendRows = (item) => item.s.flatMap(([code, shares]) => shares.map((share, place) => ({ country: named(code), year: item.y[place], share })));
  const drawStage = (stage) => {
    const item = series[stage];
    const charts = item && {
      flows: item.f && { ...item.f, importer },
      trend: item.s.length && { rows: trendRows(item), domain: item.s.map(([code]) => named(code)) },
      hhi: item.h.some((value) => value !== null) && { rows: item.y.map((year, place) => ({ year, low: item.l.length ? item.l[place] : item.h[place], high: item.h[place] })).filter((row) => row.high !== null) },
    };
    for (const name of ["flows", "trend", "hhi"]) {
      const figure = $(`[data-chart=${name}]`);
      if (figure) draw(figure, charts && charts[name]);
    }
    $$("[data-note]").forEach((note) => { note.textContent = (item && item[note.dataset.note]) || ""; });
    markScrolled();
  };
  const offerStages = () => {
    const chooser = $("#stage");
    if (!chooser) return;
    const before = chooser.value;
    chooser.replaceChildren(...page.stages.filter(([slug]) => series[slug]).map(([slug, name]) => new Option(name, slug)));
    const traced = page.stages.map(([slug]) => slug).filter((slug) => series[slug] && series[slug].f);
    if (series[before]) chooser.value = before;
    else if (traced.length) chooser.value = traced.at(-1);
    chooser.closest(".by-stage").hidden = !chooser.options.length;
    drawStage(chooser.value);
  };
  const drawCharts = (charts) => {
    for (const [name, chart] of Object.entries(charts || {})) {
      const figure = $(`[data-chart=${name}]`);
      if (figure) draw(figure, chart);
    }
  };
  const choose = async (code) => {
    const chooser = $("#importer");
    if (!chooser || ![...chooser.options].some((option) => option.value === code)) return;
    chooser.value = code;
    const status = $("#chooser-status");
    try {
      if (code !== importer || $("#importer-part").dataset.importer !== code) {
        const { key, path, inside } = chooser.dataset;
        const found = await load(key.replace("{}", code), path.replace("{}", code));
        const part = opened(found, inside && code);
        importer = code;
        $("#importer-part").innerHTML = part.html;
        $("#importer-part").dataset.importer = code;
        if ($("#importer-name")) $("#importer-name").textContent = chooser.selectedOptions[0].text;
        series = part.series || {};
        drawCharts(part.charts);
        offerStages();
        arrange();
      }
      keep("importer", code);
      history.replaceState(null, "", `#importer=${code}`);
      status.textContent = `Showing ${chooser.selectedOptions[0].text}.`;
    } catch (error) {
      status.textContent = `${error.message}; the site is not complete.`;
    }
  };

  // ---- filters of long tables, a few rows at a time
  const filterTable = (form, more) => {
    const table = $(`#${form.dataset.table}`);
    const rows = $$("tbody tr", table);
    const text = ($("input", form)?.value || "").trim().toLowerCase();
    const picked = $$("select", form).map((select) => [select.name, select.value]).filter(([, value]) => value);
    const most = Number(form.dataset.rows || Infinity);
    table.most = more ? table.most + most : most;
    const found = rows.filter((row) => (!text || row.textContent.toLowerCase().includes(text)) && picked.every(([name, value]) => row.dataset[name] === value));
    for (const row of rows) row.hidden = true;
    found.slice(0, table.most).forEach((row) => { row.hidden = false; });
    $("output", form).textContent = `${found.length} of ${rows.length} rows`;
    const button = $(`button[data-more="${form.dataset.table}"]`);
    if (button) {
      button.hidden = found.length <= table.most;
      button.textContent = `Show more (${Math.max(0, found.length - table.most)} left)`;
      button.onclick = () => filterTable(form, true);
    }
    markScrolled();
  };
  const arrange = () => {
    for (const form of $$("form[data-table]")) {
      form.hidden = false;
      form.onsubmit = (event) => event.preventDefault();
      form.oninput = () => { filterTable(form); const folded = $(`#${form.dataset.table}`).closest("details"); if (folded) folded.open = true; };
      filterTable(form);
    }
    // A figure of a summary leads to its rows.
    for (const link of $$("[data-pick]")) {
      link.onclick = () => {
        const form = $(`form[data-table="${link.dataset.table}"]`);
        for (const select of $$("select", form)) select.value = link.dataset[select.name] || "";
        form.oninput();
      };
    }
    markScrolled();
  };

  // ---- tables wider than their place: an edge that fades, and words
  const markScrolled = () => {
    for (const place of $$(".scroll")) {
      const right = place.scrollWidth - place.clientWidth - place.scrollLeft > 2;
      place.classList.toggle("more-right", right);
      place.classList.toggle("moved", place.scrollLeft > 2);
      let hint = place.previousElementSibling;
      if (!hint || !hint.classList.contains("hint")) {
        hint = document.createElement("p");
        hint.className = "hint";
        hint.setAttribute("aria-hidden", "true");
        hint.textContent = "More columns on the right: scroll or swipe \u2192";
        place.before(hint);
        place.addEventListener("scroll", markScrolled, { passive: true });
      }
      hint.hidden = place.scrollWidth - place.clientWidth <= 2 || !place.offsetParent;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    if ($("#page-data")) page = JSON.parse($("#page-data").textContent);
    series = page.series || {};
    importer = page.importer || "";
    sayTheme();
    themeButton()?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      keep("theme", root.dataset.theme);
      sayTheme();
      redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { sayTheme(); redraw(); });
    arrange();
    const chooser = $("#importer");
    const wanted = () => new URLSearchParams(location.hash.slice(1)).get("importer");
    drawCharts(page.charts);
    $("#stage")?.addEventListener("change", (event) => drawStage(event.target.value));
    if (chooser) {
      chooser.closest(".chooser").hidden = false;
      chooser.addEventListener("change", () => choose(chooser.value));
      addEventListener("hashchange", () => choose(wanted()));
      const first = wanted() || recall("importer");
      if (first && first !== importer) choose(first);
      else chooser.value = importer;
    }
    if (series[Object.keys(series)[0]]) offerStages();
    let before = innerWidth;
    let timer = 0;
    addEventListener("resize", () => {
      clearTimeout(timer);
      timer = setTimeout(() => { if (innerWidth !== before) { before = innerWidth; redraw(); markScrolled(); } }, 150);
    });
    addEventListener("toggle", markScrolled, true);
    for (const choice of $$(".switch input")) choice.addEventListener("change", markScrolled);
    root.dataset.ready = "yes";
  });
})();
