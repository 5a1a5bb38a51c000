"""What each study adds to the report, one study a module; a new module is a new section.

A study is a module of this package that defines

``SPEC``
    its `StudySpec`: name, title, what it measures, and which of its findings answer which question;
``blocks(material) -> list[Block]``
    the body of its section, called only where the study was run; its figures are placed by the module, with
    ``material.figures_of(study=...)``;
``costs(material) -> DataFrame`` (optional)
    time and memory by cell for the explorer: columns ``task``, ``method``, ``setting``, ``rank``, ``alpha`` as in
    the table ``comparison``, ``seconds`` a run, and ``memory_bytes``.

Of a study that is configured out the report says so, with the sentence of its ``SPEC``.
"""
