"""The batch as Snakemake sees it: one rule for each notebook of nbs/experiments, one artefact folder for each job.

    snakemake --config preset=smoke                                          # this machine; options in profiles/default
    snakemake --workflow-profile profiles/slurm --config preset=paper        # a cluster

The jobs are those of medbridge.jobs. Whether one is stale is decided by its key (see medbridge.artefacts), not by comparing files:
what is stale has a stamp that is newer than its artefact, and an artefact is a link to a finished version that no rule can delete.
"""
import os, sys
from medbridge.reproduce import Batch, die_with_parent

settings = {k: config[k] for k in ("only", "figures", "table") if k in config}
batch = Batch(config.get("preset", "smoke"), root=config.get("root", workflow.basedir), **settings)
own = " ".join(f"--{k} '{v}'" for k, v in settings.items())
if workflow.is_main_process:
    if os.environ.pop("MEDBRIDGE_WITH_PARENT", None): die_with_parent()
    batch.stamp()

def job(notebook): return lambda wildcards: batch.job(notebook + wildcards.which)
def folders(names): return [str(batch.folder(n)) for n in names]

wildcard_constraints: which="(@[^/]+)?"

onstart: batch.lock()
onsuccess: batch.gallery()

rule all:
    input: folders(j.name for j in batch.jobs)

for notebook in batch.notebooks:
    rule:
        name: notebook
        input:
            stamp=str(batch.stamp_file(notebook + "{which}")),
            reads=lambda wildcards, of=job(notebook): folders(of(wildcards).reads)
        output: directory(str(batch.folder(notebook + "{which}")))
        threads: lambda wildcards, of=job(notebook): of(wildcards).threads
        priority: batch.priority(notebook)
        resources:
            gpu=lambda wildcards, of=job(notebook): of(wildcards).gpus,
            mem_mb=lambda wildcards, of=job(notebook): of(wildcards).memory_mb
        params: name=notebook
        shell:
            "export OMP_NUM_THREADS={threads} MEDBRIDGE_WORKERS={threads} MEDBRIDGE_WITH_PARENT=1; cd {batch.root}; "
            "exec {sys.executable} -m medbridge job {batch.chosen.name} '{params.name}{wildcards.which}' {own}"
