// The demo's own script: asks for the visitor's choice, tells the snippet, counts the topic.
// The snippet may load later: until then its calls wait in this array.
const trenza = (window.trenza = window.trenza || []);
for (const name of ["page", "track", "identify", "consent"]) {
  trenza[name] ??= (...args) => new Promise((done) => trenza.push([name, args, done, new Date()]));
}
const call = (name, ...args) => window.trenza[name](...args);
const choice = document.getElementById("choice");
const decide = (answer) => () => {
  call("consent", answer);
  choice.remove();
};
document.getElementById("yes").addEventListener("click", decide("granted"));
document.getElementById("no").addEventListener("click", decide("denied"));
const topic = document.body.dataset.topic;
call("page", document.title, topic ? { topic: topic.toLowerCase() } : {});
const guide = document.getElementById("guide");
if (guide) {
  guide.addEventListener("submit", (event) => {
    event.preventDefault();
    call("identify", { email: guide.email.value });
    call("track", "Guide Downloaded", { topic: topic.toLowerCase() });
    document.getElementById("done").textContent = "Gracias / Thank you";
  });
}
