// <gr-chart>: draws the series in its JSON block with uPlot. The table below it says the same.

const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6", "--chart-7", "--chart-8"];
const HEIGHT = 190;

let plotter;

function load(chart) {
  plotter ??= new Promise((done, failed) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: chart.dataset.style });
    const script = Object.assign(document.createElement("script"), { src: chart.dataset.plotter });
    script.addEventListener("load", () => done(window.uPlot));
    script.addEventListener("error", failed);
    document.head.append(style, script);
  });
  return plotter;
}

function short(value, digits = 3) {
  for (const [size, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) {
      return `${+(value / size).toPrecision(digits)} ${name}`;
    }
  }
  return `${+value.toPrecision(digits)}`;
}

export function figure(value, unit) {
  if (value === null || value === undefined) {
    return "–";
  }
  switch (unit) {
    case "ms":
      if (value >= 1000) {
        return `${+(value / 1000).toPrecision(3)} s`;
      }
      return value > 0 && value < 1 ? `${+(value * 1000).toPrecision(3)} µs` : `${+value.toPrecision(3)} ms`;
    case "USD":
      return value >= 1000 ? `$${short(value)}` : `$${+value.toPrecision(3)}`;
    case "share":
      return `${+(value * 100).toPrecision(3)} %`;
    case "":
      return short(value);
    default:
      return `${short(value)} ${unit}`;
  }
}

// A dashed line where something was deployed, with its number in the page's list; those too close to read share one label.
function marks(markers) {
  return (plot) => {
    const { ctx, bbox } = plot;
    const labels = [];
    ctx.save();
    ctx.strokeStyle = ink("--soft");
    ctx.fillStyle = ink("--soft");
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.font = `600 ${11 * devicePixelRatio}px system-ui, sans-serif`;
    for (const [index, { at }] of markers.entries()) {
      const x = Math.round(plot.valToPos(Math.min(at, plot.data[0].at(-1)), "x", true)); // the newest step ends after its point
      if (x < bbox.left || x > bbox.left + bbox.width) {
        continue;
      }
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const near = labels.find((one) => Math.abs(one.x - x) < 30 * devicePixelRatio);
      if (near) {
        near.numbers.push(index + 1);
      } else {
        labels.push({ x, numbers: [index + 1] });
      }
    }
    for (const { x, numbers } of labels) {
      const text = [...new Set([Math.min(...numbers), Math.max(...numbers)])].join("–");
      const isLate = x + ctx.measureText(text).width + 8 * devicePixelRatio > bbox.left + bbox.width;
      ctx.textAlign = isLate ? "right" : "left";
      ctx.fillText(text, x + (isLate ? -4 : 4) * devicePixelRatio, bbox.top + 11 * devicePixelRatio);
    }
    ctx.restore();
  };
}

function ink(name) {
  const probe = document.createElement("span");
  probe.className = "unseen";
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function columns(series) {
  const times = [...new Set(series.flatMap((one) => one.points.map(([at]) => at)))].sort((a, b) => a - b);
  const place = new Map(times.map((at, index) => [at, index]));
  const column = (pairs) => {
    const values = new Array(times.length).fill(null);
    for (const [at, value] of pairs) {
      values[place.get(at)] = value;
    }
    return values;
  };
  return { times, column };
}

// Places of values with none beside them: no line is drawn to these, so each is a dot.
export function alone(values) {
  const has = (place) => values[place] !== null && values[place] !== undefined;
  return [...values.keys()].filter((place) => has(place) && !has(place - 1) && !has(place + 1));
}

// Times as the pages write them: UTC, "27 Nov 14:05"; the axis leaves out what all of it shares.
function moment(at, isWhole, span = 0) {
  const [day, month, , clock] = new Date(at * 1000).toUTCString().slice(5).split(" ");
  const date = `${+day} ${month}`;
  if (isWhole) {
    return `${date} ${clock.slice(0, 5)}`;
  }
  return span > 2.5 * 86400 || clock.startsWith("00:00") ? date : clock.slice(0, 5);
}

function reach(low, high, unit) {
  if (low === null) {
    return [0, 1];
  }
  const most = high > 0 ? high * 1.12 : 1;
  return [Math.min(0, low), unit === "share" && high <= 1 ? Math.min(most, 1) : most];
}

class Chart extends HTMLElement {
  #plot = null;
  #told = null;
  #size = null;

  connectedCallback() {
    const block = this.querySelector("script[type='application/json']");
    if (!block || this.#told) {
      return;
    }
    this.#told = JSON.parse(block.textContent);
    this.#draw();
    this.#size = new ResizeObserver(() => this.#plot?.setSize({ width: this.clientWidth, height: this.#height }));
    this.#size.observe(this);
    document.addEventListener("gr-theme", this.#again);
  }

  disconnectedCallback() {
    this.#size?.disconnect();
    document.removeEventListener("gr-theme", this.#again);
    this.#plot?.destroy();
    this.#plot = null;
    this.#told = null;
  }

  get #height() {
    return Number(this.dataset.height) || HEIGHT;
  }

  #again = () => {
    if (this.#plot) {
      this.#plot.destroy();
      this.#draw();
    }
  };

  async #draw() {
    const UPlot = await load(this);
    if (!this.isConnected || !this.#told) {
      return;
    }
    const { series, unit, markers, href } = this.#told;
    const { times, column } = columns(series);
    const data = [times];
    const shown = [{ label: "UTC", value: (_, at) => (at === null ? "" : moment(at, true)) }];
    const bands = [];
    series.forEach((one, index) => {
      const stroke = ink(COLOURS[index % COLOURS.length]);
      data.push(column(one.points));
      shown.push({
        label: one.label, stroke, width: 2, dash: one.dashed ? [6, 5] : undefined,
        points: { show: true, size: 7, filter: (plot, at) => (one.points.length < 3 ? null : alone(plot.data[at])) }, value: (plot, value) => (plot.cursor.idx === null ? "" : figure(value, unit)),
      });
      if (one.low && one.high) {
        const edge = { stroke: "transparent", width: 0, points: { show: false }, label: "", class: "gr-edge" };
        data.push(column(one.high), column(one.low));
        shown.push({ ...edge }, { ...edge });
        bands.push({ series: [data.length - 2, data.length - 1], fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.16)") });
      }
    });
    const axis = { stroke: ink("--soft"), grid: { stroke: ink("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    this.#plot = new UPlot({
      width: this.clientWidth, height: this.#height, series: shown, bands,
      tzDate: (at) => UPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      axes: [{ ...axis, size: 32, values: (plot, ats) => ats.map((at) => moment(at, false, plot.scales.x.max - plot.scales.x.min)) }, { ...axis, size: 62, values: (_, values) => values.map((value) => figure(value, unit)) }],
      scales: {
        x: { range: times.length > 1 ? undefined : [times[0] - 1800, times[0] + 1800] },
        y: { range: (_, low, high) => reach(low, high, unit) },
      },
      cursor: { points: { size: 7 }, drag: { x: true, y: false } },
      legend: { live: true },
      hooks: markers.length ? { draw: [marks(markers)] } : {},
    }, data, this);
    this.classList.add("drawn");
    if (href) {
      this.#plot.over.addEventListener("dblclick", (event) => event.stopPropagation(), true);
      this.#plot.over.addEventListener("click", () => this.#follow(href, times));
      this.#plot.over.classList.add("leads");
    }
  }

  #follow(href, times) {
    const at = this.#plot.cursor.idx;
    if (at === null || at === undefined || this.#plot.select.width > 3) {
      return;
    }
    const step = times.length > 1 ? times[1] - times[0] : 60;
    const iso = (seconds) => encodeURIComponent(new Date(seconds * 1000).toISOString());
    location.href = href.replaceAll("{from}", iso(times[at])).replaceAll("{to}", iso(times[at] + step));
  }
}

customElements.define("gr-chart", Chart);
