// A file dropped anywhere on the page goes into the file field; without this script, onto the field itself.
const file = document.getElementById("file");
const carriesFile = (event) => event.dataTransfer !== null && event.dataTransfer.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (carriesFile(event)) {
    event.preventDefault();
    document.body.classList.add("dragged");
  }
});
document.addEventListener("dragleave", () => document.body.classList.remove("dragged"));
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dragged");
  if (carriesFile(event)) {
    event.preventDefault();
    file.files = event.dataTransfer.files;
    file.focus();
  }
});
