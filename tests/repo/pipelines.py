#!/usr/bin/env python3
"""docs/pipelines: the files for CI systems are well formed, and call the scripts beside them as these
want to be called. Run by ctest; prints each breach. Exit status 77: python3-yaml is missing."""
import os
import re
import subprocess
import sys

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "docs", "pipelines")
CALL = re.compile(r"^(?:ci/sluice/|/pipelines/)([a-z-]+\.sh)((?: [A-Za-z0-9_.-]+)*)$")
# What each script must be given in its environment.
REQUIRED = {"blue-green.sh": {"DEPLOY", "VERIFY"}, "canary.sh": {"DEPLOY", "VERIFY"},
            "rolling.sh": {"DEPLOY"}, "idle.sh": set()}
breaches = []


def breach(where, what):
    breaches.append(f"{where}: {what}")


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def scripts():
    """Name → (arguments, names that it reads from the environment)."""
    found = {}
    common = set(re.findall(r"\$\{([A-Z_]+)", read("shell/lib.sh")))
    for name in sorted(os.listdir(os.path.join(FOLDER, "shell"))):
        text = read("shell/" + name)
        if subprocess.run(["sh", "-n", os.path.join(FOLDER, "shell", name)]).returncode != 0:
            breach(name, "is no shell script")
        if name == "lib.sh":
            continue
        if not os.access(os.path.join(FOLDER, "shell", name), os.X_OK):
            breach(name, "has no run bit")
        if "set -eu\n" not in text:
            breach(name, "goes on after errors")
        arguments = len(set(re.findall(r"\$\{(\d):\?", text)))
        usage = re.search(r"^#   (?:\S+='[^']*' )*" + re.escape(name) + r"((?: [A-Z]+)+)$", text, re.M)
        if usage is None or len(usage.group(1).split()) != arguments:
            breach(name, "its usage does not name the arguments that it reads")
        found[name] = (arguments, common | set(re.findall(r"\$\{([A-Z_]+)", text)))
    return found


def check_call(where, words, environment, known):
    call = CALL.match(words)
    if call is None:
        breach(where, f"is no call of a script: {words}")
        return None
    name = call.group(1)
    if name not in known:
        breach(where, f"calls {name}, which is not in shell/")
        return None
    arguments, reads = known[name]
    if len(call.group(2).split()) != arguments:
        breach(where, f"gives {name} {len(call.group(2).split())} arguments, not {arguments}")
    for missing in REQUIRED[name] - set(environment):
        breach(where, f"does not say {missing}")
    for unread in set(environment) - reads:
        breach(where, f"says {unread}, which {name} does not read")
    for wanted in ("SLUICE_ADMIN", "PIPELINE_ID", "SLUICE_AUTHOR"):
        if wanted not in environment:
            breach(where, f"does not say {wanted}")
    for value in environment.values():
        if not isinstance(value, str):
            breach(where, f"{value!r} is no text")
    return name


def gitlab(known):
    jobs = yaml.safe_load(read("gitlab-ci.yml"))
    stages = jobs.pop("stages")
    common = jobs.pop(".sluice")
    if common["stage"] not in stages:
        breach("gitlab-ci.yml", "its stage is not among the stages")
    called = set()
    for name, job in jobs.items():
        if job["extends"] != ".sluice":
            breach("gitlab-ci.yml", f"{name} extends {job['extends']}")
        for line in job["script"]:
            called.add(check_call(f"gitlab-ci.yml: {name}", line,
                                  common["variables"] | job["variables"], known))
    return called


def github(known):
    workflow = yaml.safe_load(read("github-actions.yml"))
    # YAML 1.1 reads `on` as true.
    inputs = workflow[True]["workflow_dispatch"]["inputs"]["how"]["options"]
    if sorted(inputs) != sorted(workflow["jobs"]):
        breach("github-actions.yml", "its choices are not its jobs")
    called = set()
    environment = dict(workflow["env"])
    environment.pop("SLUICE_TOKEN")
    for name, job in workflow["jobs"].items():
        if job["if"] != f"inputs.how == '{name}'":
            breach("github-actions.yml", f"{name} runs if {job['if']}")
        for step in job["steps"]:
            if "run" in step:
                called.add(check_call(f"github-actions.yml: {name}", step["run"],
                                      environment | step["env"], known))
    return called


def circleci(known):
    config = yaml.safe_load(read("circleci.yml"))
    naming = config["commands"]["name-the-run"]["steps"][0]["run"]["command"]
    given = dict.fromkeys(re.findall(r"export ([A-Z_]+)=", naming), "")
    given["SLUICE_ADMIN"] = "of the context"
    called = set()
    for name, job in config["jobs"].items():
        if "name-the-run" not in job["steps"]:
            breach("circleci.yml", f"{name} does not name its run")
        for step in job["steps"]:
            if isinstance(step, dict):
                called.add(check_call(f"circleci.yml: {name}", step["run"]["command"],
                                      given | step["run"]["environment"], known))
        if list(config["workflows"][name]["jobs"][0]) != [name]:
            breach("circleci.yml", f"workflow {name} runs something else")
    return called


def jenkins(known):
    """No parser for it here: brackets in balance, the sections that a declarative one must have."""
    text = re.sub(r"(?m)//(?![^'\n]*').*$", "", read("Jenkinsfile"))
    depth = 0
    for char in re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "", text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth < 0:
            break
    if depth != 0:
        breach("Jenkinsfile", "its braces are not in balance")
    if not re.match(r"\s*pipeline \{\s*agent ", text):
        breach("Jenkinsfile", "does not begin with pipeline and agent")
    assignments = r"^ +([A-Z_]+) = (?:credentials\()?['\"]([^'\"]*)"
    head, *stages = re.split(r"stage\('", text)
    common = dict(re.findall(assignments, head, re.M))
    common.pop("SLUICE_TOKEN")
    choices = re.findall(r"'([a-z-]+)'", re.search(r"choices: \[(.*?)\]", head).group(1))
    called = set()
    for stage in stages:
        name = stage.split("'")[0]
        how = re.search(r"params\.HOW == '([a-z-]+)'", stage).group(1)
        steps = re.search(r"steps \{\s*sh '([^']*)'\s*\}", stage)
        if how not in choices or steps is None:
            breach("Jenkinsfile", f"stage {name} can't be chosen or has no step")
            continue
        called.add(check_call(f"Jenkinsfile: {name}", steps.group(1),
                              common | dict(re.findall(assignments, stage, re.M)), known))
    return called


def argo_jobs(name, known):
    """The scripts that a file of hooks calls."""
    called = set()
    phases = []
    for job in yaml.safe_load_all(read("argo-cd/" + name)):
        where = f"argo-cd/{name}: {job['metadata']['name']}"
        if job["kind"] != "Job" or job["spec"]["backoffLimit"] != 0:
            breach(where, "is no Job that runs once")
        phases.append(job["metadata"]["annotations"].get("argocd.argoproj.io/hook"))
        pod = job["spec"]["template"]["spec"]
        container = pod["containers"][0]
        environment = {each["name"]: each.get("value", "") for each in container["env"]}
        environment.pop("SLUICE_TOKEN")
        if container["command"][0] != "sh":
            breach(where, "does not run sh")
        called.add(check_call(where, " ".join(container["command"][1:]), environment, known))
        if container["volumeMounts"][0]["name"] != pod["volumes"][0]["name"]:
            breach(where, "mounts what is not there")
        # Each step may wait a minute for health, and the verdict takes its time.
        steps = environment.get("STEPS", "").split()
        needed = len(steps) * (int(environment.get("PAUSE", 60)) + 60) + 60
        if steps and job["spec"]["activeDeadlineSeconds"] < needed:
            breach(where, f"its deadline ends it before its last step, which may take {needed} s")
    if phases != ["PreSync", "PostSync"]:
        breach(f"argo-cd/{name}", f"its hooks are for {phases}")
    return called


def argo(known):
    kustomization = yaml.safe_load(read("argo-cd/kustomization.yaml"))
    mounted = {os.path.basename(name) for name in kustomization["configMapGenerator"][0]["files"]}
    wanted = {"hooks.yaml": {"idle.sh", "blue-green.sh"}, "canary.yaml": {"idle.sh", "canary.sh"}}
    called = set()
    for name, scripts_wanted in wanted.items():
        calls = argo_jobs(name, known)
        if calls != scripts_wanted:
            breach(f"argo-cd/{name}", f"calls {calls}, not {scripts_wanted}")
        called |= calls
    if set(os.listdir(os.path.join(FOLDER, "argo-cd"))) != wanted.keys() | {"kustomization.yaml"}:
        breach("argo-cd", f"is not just {sorted(wanted)} and kustomization.yaml")
    if len(kustomization["resources"]) != 1 or kustomization["resources"][0] not in wanted:
        breach("argo-cd/kustomization.yaml", "takes other than one of the files of hooks")
    if mounted != (called - {None}) | {"lib.sh"}:
        breach("argo-cd/kustomization.yaml", f"mounts {sorted(mounted)}, but {called} are called")


def main():
    known = scripts()
    everything = {"blue-green.sh", "canary.sh", "rolling.sh"}
    for name, check in (("gitlab-ci.yml", gitlab), ("github-actions.yml", github),
                        ("circleci.yml", circleci), ("Jenkinsfile", jenkins)):
        called = check(known)
        if called != everything:
            breach(name, f"calls {called}, not {everything}")
    argo(known)
    readme = read("README.md")
    for name in os.listdir(FOLDER):
        if name != "README.md" and name not in readme:
            breach("README.md", f"does not speak of {name}")
    for line in breaches:
        print(line)
    print(f"{len(known)} scripts, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
