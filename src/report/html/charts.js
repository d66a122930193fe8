"use strict";
// Draws each plot with Chart.js when it comes near the window, and all of them before paper is printed.
(() => {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const drawn = new Map();
  const POINTS = ["circle", "rect", "triangle", "rectRot", "star", "crossRot", "rectRounded", "cross"];
  const PAPER_WIDTH = 690;

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { text: of("text"), quiet: of("quiet"), grid: of("grid"), page: of("page"), series: (n) => of(`series-${n % 8}`) };
  };

  const number = (value) => {
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en-US");
    return String(Number(value.toPrecision(3)));
  };

  const isBars = (plot) => plot.form.kind === "bars";

  // How a role looks: measured solid, predicted open, a ceiling dashed in its transport's colour, a limit dashed and plain.
  const dataset = (plot, series, place, colour) => {
    const own = series.role === "limit" ? colour.text : colour.series(series.colour);
    const base = { label: series.label, role: series.role, borderColor: own, data: series.points };
    if (isBars(plot)) return bars(plot, series, own, base, colour);
    const open = series.role === "predicted";
    const marks = series.role === "measured" || open;
    return {
      ...base,
      type: "line",
      parsing: false,
      backgroundColor: open ? colour.page : own,
      borderWidth: series.role === "limit" ? 1.5 : 2,
      borderDash: { ceiling: [6, 4], limit: [2, 3], predicted: [3, 3] }[series.role] ?? [],
      pointStyle: POINTS[series.colour % POINTS.length],
      pointRadius: marks && plot.form.kind === "lines" ? 5 : 0,
      pointHitRadius: 8,
      pointBorderWidth: 2,
      stepped: plot.form.kind === "steps" ? "before" : false,
    };
  };

  const bars = (plot, series, own, base, colour) => {
    if (series.role === "ceiling") {
      return {
        ...base, type: "scatter", parsing: false, borderColor: colour.text, backgroundColor: colour.text,
        pointStyle: "line", rotation: 90, pointRadius: 13, pointHoverRadius: 13, borderWidth: 2.5, order: -1,
      };
    }
    if (series.role === "limit") return { ...base, type: "bar", data: [], backgroundColor: "transparent", borderWidth: 1.5 };
    const values = plot.form.categories.map(() => null);
    const notes = plot.form.categories.map(() => "");
    for (const point of series.points) [values[point.y], notes[point.y]] = [point.x, point.note];
    return {
      // A transport's predicted bars take the place of those that were not measured.
      ...base, type: "bar", data: values, notes, grouped: plot.form.layout !== "single",
      stack: plot.form.layout === "grouped" ? String(series.colour) : undefined,
      backgroundColor: series.role === "predicted" ? `${own}33` : own,
      borderWidth: series.role === "predicted" ? 1.5 : 0, borderSkipped: false,
      barPercentage: 0.82, categoryPercentage: plot.form.layout === "grouped" ? 0.78 : 0.9, maxBarThickness: 26,
    };
  };

  // A limit across lying bars: a line from top to bottom at its value.
  const limits = {
    id: "limits",
    afterDatasetsDraw(chart, _, options) {
      for (const [value, colour] of options.lines ?? []) {
        const { ctx, chartArea, scales } = chart;
        const x = scales.x.getPixelForValue(value);
        ctx.save();
        ctx.beginPath();
        ctx.setLineDash([2, 3]);
        ctx.lineWidth = 1.5;
        ctx.strokeStyle = colour;
        ctx.moveTo(x, chartArea.top);
        ctx.lineTo(x, chartArea.bottom);
        ctx.stroke();
        ctx.restore();
      }
    },
  };

  const axis = (spec, colour, more = {}) => ({
    type: spec.scale,
    title: { display: spec.label !== "", text: spec.label, color: colour.quiet },
    grid: { color: colour.grid },
    border: { color: colour.quiet },
    ...more,
    ticks: { color: colour.quiet, callback: number, ...more.ticks },
  });

  // The sizes and lengths that were measured are the ticks: nobody looks for a round number between them.
  const ticksAtPoints = (plot) => (scale) => {
    const values = [...new Set(plot.series.flatMap((series) => series.points.map((point) => point.x)))].sort((a, b) => a - b);
    const every = Math.ceil(values.length / 8);
    scale.ticks = values.filter((_, place) => place % every === 0).map((value) => ({ value }));
  };

  // Of a logarithmic axis 1, 2 and 5 of each power of ten.
  const logarithmicTick = (value) => ([1, 2, 5].includes(Number(String(value.toExponential()).split("e")[0])) ? number(value) : "");

  const scales = (plot, colour) => {
    const far = Math.max(...plot.series.flatMap((series) => series.points.map((point) => point.x)), 0);
    if (isBars(plot)) {
      const stacked = plot.form.layout !== "single";
      return {
        x: axis(plot.x, colour, { beginAtZero: true, stacked, suggestedMax: far * 1.04 }),
        y: { type: "category", labels: plot.form.categories, stacked, grid: { display: false }, border: { color: colour.quiet }, ticks: { color: colour.text, autoSkip: false } },
      };
    }
    const x = plot.form.kind === "lines" ? { afterBuildTicks: ticksAtPoints(plot) } : {};
    const y = plot.y.scale === "linear" ? { beginAtZero: true } : {};
    if (plot.form.kind === "steps") Object.assign(y, { max: 100 });
    const marks = (spec) => (spec.scale === "logarithmic" ? { ticks: { callback: logarithmicTick } } : {});
    return {
      x: axis(plot.x, colour, { ...(plot.form.kind === "lines" ? {} : marks(plot.x)), ...x }),
      y: axis(plot.y, colour, { ...marks(plot.y), ...y }),
    };
  };

  const height = (plot) => {
    if (!isBars(plot)) return 340;
    const rows = plot.form.categories.length;
    const transports = new Set(plot.series.filter((it) => it.role !== "limit").map((it) => it.colour));
    const beside = plot.form.layout === "grouped" ? transports.size : 1;
    return 96 + rows * Math.max(34, 20 * beside + 14);
  };

  // One line of the legend for all ceilings, and one for all predictions: they have the colours of what they belong to.
  const TOGETHER = { ceiling: "ceilings", predicted: "predicted" };

  // The mark of a ceiling beside lying bars, as the legend shows it: the library would lay its line across the name's field.
  const upright = (colour) => {
    const mark = document.createElement("canvas");
    [mark.width, mark.height] = [3, 14];
    const context = mark.getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, mark.width, mark.height);
    return mark;
  };

  const legend = (plot, single, colour) => (chart) => {
    const named = new Set();
    const items = Chart.defaults.plugins.legend.labels.generateLabels(chart).flatMap((item) => {
      const { role } = chart.data.datasets[item.datasetIndex];
      const together = TOGETHER[role];
      if (together === undefined) {
        // Lying bars that stand alone are named by their category.
        if (role === "measured" && single) return [];
        if (role === "limit") return [{ ...item, pointStyle: "line", lineDash: [2, 3], lineWidth: 1.5 }];
        return [isBars(plot) ? { ...item, pointStyle: "rect" } : item];
      }
      if (named.has(role)) return [];
      named.add(role);
      const common = { ...item, text: together, strokeStyle: colour.quiet, role };
      if (role === "predicted") {
        const style = isBars(plot) ? { pointStyle: "rect", fillStyle: `${colour.quiet}33` } : { pointStyle: "circle", fillStyle: colour.page };
        return [{ ...common, ...style, lineWidth: 1.5 }];
      }
      return [{ ...common, ...(isBars(plot) ? { pointStyle: upright(colour.quiet), rotation: 0 } : { pointStyle: "line", lineDash: [6, 4], lineWidth: 2 }) }];
    });
    return [...items.filter((item) => item.role === undefined), ...items.filter((item) => item.role !== undefined)];
  };

  const toggle = (chart, item) => {
    const shown = chart.isDatasetVisible(item.datasetIndex);
    chart.data.datasets.forEach((dataset, place) => {
      if (place === item.datasetIndex || (item.role !== undefined && dataset.role === item.role)) chart.setDatasetVisibility(place, !shown);
    });
    chart.update();
  };

  const configuration = (plot) => {
    const colour = colours();
    const lines = isBars(plot) ? plot.series.filter((it) => it.role === "limit").map((it) => [it.points[0].x, colour.text]) : [];
    const single = isBars(plot) && plot.form.layout === "single";
    return {
      type: isBars(plot) ? "bar" : "line",
      data: {
        labels: isBars(plot) ? plot.form.categories : undefined,
        datasets: plot.series.map((series, place) => dataset(plot, series, place, colour)),
      },
      plugins: [limits],
      options: {
        animation: false,
        maintainAspectRatio: false,
        devicePixelRatio: Math.max(2, window.devicePixelRatio),
        indexAxis: isBars(plot) ? "y" : "x",
        interaction: { mode: "nearest", intersect: false, axis: isBars(plot) ? "y" : "xy" },
        font: { family: getComputedStyle(document.body).fontFamily },
        scales: scales(plot, colour),
        plugins: {
          limits: { lines },
          legend: {
            display: plot.series.length > 1 || !single,
            align: "start",
            // Lying bars that stand alone are named by their category.
            labels: { color: colour.text, usePointStyle: true, boxHeight: 7, pointStyleWidth: 18, generateLabels: legend(plot, single, colour) },
            onClick: (_, item, self) => toggle(self.chart, item),
          },
          tooltip: {
            callbacks: {
              title: (items) => (isBars(plot) ? items[0]?.label : "") ?? "",
              label: (item) => {
                const value = isBars(plot) ? item.parsed.x : item.parsed.y;
                const unit = isBars(plot) ? plot.x.label : plot.y.label;
                const note = item.dataset.notes?.[item.dataIndex] ?? item.raw?.note ?? "";
                return `${item.dataset.label}: ${number(value)} ${unit}; ${note}`;
              },
            },
          },
        },
      },
    };
  };

  const draw = (canvas) => {
    const plot = plots[Number(canvas.dataset.plot)];
    drawn.get(canvas)?.destroy();
    canvas.parentElement.style.height = `${height(plot)}px`;
    drawn.set(canvas, new Chart(canvas, configuration(plot)));
  };

  const canvases = [...document.querySelectorAll("canvas[data-plot]")];
  for (const canvas of canvases) canvas.parentElement.style.height = `${height(plots[Number(canvas.dataset.plot)])}px`;
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((it) => it.isIntersecting)) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "800px" });
  canvases.forEach((canvas) => near.observe(canvas));

  const redraw = () => [...drawn.keys()].forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  let folded = [];
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => { details.open = true; });
    for (const canvas of canvases) {
      near.unobserve(canvas);
      draw(canvas);
      drawn.get(canvas).resize(PAPER_WIDTH, canvas.parentElement.clientHeight);
    }
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    folded.forEach((details) => { details.open = false; });
    for (const canvas of canvases) drawn.get(canvas)?.resize();
    redraw();
  });
})();
