/* The bare view for HMI browsers: ES5 and XMLHttpRequest, nothing else. */
(function () {
  "use strict";
  var POLL_MS = 500, WITHIN_MS = 1100, LOST_MS = 1400, OLD_S = 10;
  var body = document.body;
  var camera = body.getAttribute("data-camera");
  var signs = { OK: "\u2713", NG: "\u2715", REVIEW: "?", NONE: "\u2013", WAITING: "\u00b7", DOWN: "!", LOST: "!" };
  var codes = JSON.parse(body.getAttribute("data-codes"));
  var heardAt = new Date().getTime();
  var known = null;
  var asking = null;

  function word(verdict) {
    return body.getAttribute("data-word-" + verdict.toLowerCase()) || verdict;
  }
  function say(id, text) {
    var element = document.getElementById(id);
    if (element.firstChild) { element.firstChild.nodeValue = text; }
    else { element.appendChild(document.createTextNode(text)); }
  }
  function ago(seconds) {
    return body.getAttribute("data-word-since").replace("{n}", Math.round(seconds));
  }
  /* What decided, without a sentence that would have to be translated. */
  function why(last) {
    if (last.code) { return codes[last.code] || last.reason; }
    return last.label ? last.label.replace(/_+/g, " ") + " " + (last.score * 100).toFixed(1) + "%" : last.reason;
  }
  function shown(silent) {
    if (silent > LOST_MS) { return { verdict: "LOST", why: ago(silent / 1000), facts: "" }; }
    if (!known) { return { verdict: "WAITING", why: "", facts: "" }; }
    if (!known.line.up) { return { verdict: "DOWN", why: ago((known.line.down_s || 0) + silent / 1000), facts: "" }; }
    var status = known.line.status, last = status.last;
    if (status.closed) { return { verdict: "NONE", why: codes[status.closed.code] || status.closed.reason, facts: "" }; }
    if (!last) { return { verdict: "WAITING", why: "", facts: "" }; }
    var age = last.age_s + known.line.age_s + silent / 1000;
    return { verdict: last.verdict || "NONE", why: why(last), age: age,
      facts: (last.part ? last.part + " \u00b7 " : "") + last.id + " \u00b7 " + Math.round(last.ms) + " ms \u00b7 " + ago(age) };
  }
  function draw() {
    var now = shown(new Date().getTime() - heardAt);
    body.setAttribute("data-verdict", now.verdict);
    body.className = now.age > OLD_S ? "old" : "";
    say("sign", signs[now.verdict] || "\u2013");
    say("word", word(now.verdict));
    say("why", now.why);
    say("facts", now.facts);
  }
  function ask() {
    if (asking) { return; }
    asking = new XMLHttpRequest();
    asking.open("GET", "/page/live?camera=" + encodeURIComponent(camera) + "&after=9007199254740991", true);
    asking.timeout = WITHIN_MS;
    asking.onload = function () {
      if (asking.status === 200) {
        try {
          known = JSON.parse(asking.responseText);
          heardAt = new Date().getTime();
        } catch (broken) { /* Half an answer is none: the age will say so. */ }
      }
      asking = null;
      draw();
    };
    asking.onerror = asking.ontimeout = asking.onabort = function () { asking = null; draw(); };
    asking.send();
  }
  function look() {
    var picture = document.getElementById("picture"), next = new Image();
    if (!known || !known.line.up) { return; }
    next.onload = function () { picture.src = next.src; };
    next.src = "/page/cameras/" + encodeURIComponent(camera) + "/live.jpg?t=" + new Date().getTime();
  }
  setInterval(ask, POLL_MS);
  setInterval(draw, 250);
  setInterval(look, 500);
  ask();
}());
