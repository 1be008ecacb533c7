// Keeps the news coming: a stream; polling where a network holds streams back; and, when nobody answers, the
// truth about that. A hidden page hears nothing and costs nothing.

import { Problem, get } from "./api.js";

/** Without news for so long the page says that it is old. */
const STALE_AFTER = 2500;
/** A stream that has brought nothing by then is held back by something. */
const OPENS_WITHIN = 3000;
const POLL_EVERY = 2000;
const TRY_EVERY = 1000;

/** What was known with what has changed of it; of an array only the items that differ may be told. */
export function merge(old, news) {
  const isPart = news !== null && typeof news === "object" && !Array.isArray(news);
  if (!isPart || old === null || typeof old !== "object") return news;
  for (const [name, value] of Object.entries(news)) old[name] = merge(old[name], value);
  return old;
}

/**
 * Follows a service. `heard` gets everything that is known, how it came and whether its figures are new; `lost`
 * since when there is no news.
 */
export function follow({ service, heard, lost, refused }) {
  let stream;
  /** Everything that the stream has told. */
  let whole;
  let timer;
  let last = Date.now();
  let attempts = 0;
  let isOver = false;

  const query = () => (service ? `?service=${encodeURIComponent(service)}` : "");
  const take = (news, how, hasFigures = true) => {
    last = Date.now();
    attempts = 0;
    heard(news, how, hasFigures);
  };

  function open() {
    clearTimeout(timer);
    stream?.close();
    if (isOver || document.hidden) return;
    whole = {};
    stream = new EventSource(`/dashboard/live${query()}`);
    timer = setTimeout(poll, OPENS_WITHIN);
    stream.onmessage = ({ data }) => {
      clearTimeout(timer);
      const part = JSON.parse(data);
      whole = merge(whole, part);
      take(whole, "live", "figures" in part);
    };
    stream.onerror = () => {
      stream.close();
      clearTimeout(timer);
      again();
    };
  }

  /** Whether it was only the stream that broke is found out by asking. */
  async function again() {
    if (isOver || document.hidden) return;
    try {
      take(await get(`/dashboard/now${query()}`), "polling");
      timer = setTimeout(open, TRY_EVERY);
    } catch (error) {
      if (isOver) return;
      if (error instanceof Problem && error.status === 401) return refused();
      attempts += 1;
      lost(last, attempts);
      timer = setTimeout(again, TRY_EVERY);
    }
  }

  async function poll() {
    if (isOver || document.hidden) return;
    stream.close();
    try {
      take(await get(`/dashboard/now${query()}`), "polling");
      timer = setTimeout(poll, POLL_EVERY);
    } catch {
      again();
    }
  }

  const watch = setInterval(() => {
    if (!document.hidden && Date.now() - last > STALE_AFTER) lost(last, attempts);
  }, 500);
  const visible = () => (document.hidden ? (stream?.close(), clearTimeout(timer)) : open());
  document.addEventListener("visibilitychange", visible);
  open();
  return {
    /** At once, whatever it was waiting for. */
    tryNow: open,
    end() {
      isOver = true;
      stream?.close();
      clearTimeout(timer);
      clearInterval(watch);
      document.removeEventListener("visibilitychange", visible);
    },
  };
}
