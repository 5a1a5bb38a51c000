"""One rule per figure, made from the figure modules of the studies; a new module is a new rule."""

from peft_atlas.figures.spec import all_figures, load_figure

# A study that was not run may show its released tables.
FIGURES = {
    spec.name: spec for spec in all_figures() if spec.study in {*STUDIES, *RELEASED}
}
# An opt-in study, which is a target of its own, draws its figures without the rest of a run.
OPT_IN = {study.name for study in all_studies() if study.opt_in}
DRAWN = {spec.name: spec for spec in all_figures() if spec.study in {*STUDIES, *OPT_IN}}
PICTURES = list(CONFIG.figures.style.formats)
FIGURE_ENDINGS = [*PICTURES, "csv", "json", "txt", "tex"]
FIGURE_FILES = expand("figures/{name}.{ending}", name=FIGURES, ending=FIGURE_ENDINGS)


for spec in DRAWN.values():

    rule:
        name:
            f"draw_{spec.name}"
        input:
            **results(*spec.tables),
        output:
            **{
                ending: f"figures/{spec.name}.{ending}"
                for ending in PICTURES
                if ending != "svg"
            },
            svg=report(
                f"figures/{spec.name}.svg",
                caption="../report/figure.rst",
                category=spec.section,
                subcategory=spec.study,
                labels={"figure": spec.title},
            ),
            csv=f"figures/{spec.name}.csv",
            card=f"figures/{spec.name}.json",
            caption=f"figures/{spec.name}.txt",
            tex=f"figures/{spec.name}.tex",
        log:
            f"logs/figures/{spec.name}.log",
        benchmark:
            f"results/benchmarks/draw_{spec.name}/all.tsv"
        priority: 50
        localrule: True
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **LIGHT,
            mem_mb=megabytes(500),
            runtime=minutes(5),
        params:
            **step(
                "figures.render:draw_step",
                f"studies/{spec.study}/figures/{spec.name}.py",
            ),
            name=spec.name,
            title=spec.title,
            about=load_figure(spec.name).__doc__.splitlines()[0],
            tables=list(spec.tables),
            style=CONFIG.figures.style.model_dump(mode="json"),
        message:
            f"drawing {spec.name}"
        script:
            "../scripts/run_step.py"
