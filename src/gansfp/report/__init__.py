"""Pages: one self-contained HTML file, made of parts.

A page is made of the parts of `gansfp.report.parts` and `gansfp.report.tables`; each part renders
itself, and every text that is put into one is data, never markup (jinja2 escapes it):

    from gansfp.report.parts import Callout, Comparison, Figure, Gallery, Page, Section
    from gansfp.report.tables import Column, Table, cell, row
    from gansfp.report.plots import Axis, Plot, Series

    page = Page(
        title="Who is exposed?",
        lead="An audit of 300 synthetic images.",
        verdicts=(Callout("found", "Yes: 12 patients are exposed", "12 of 250, 4 expected."),),
        sections=(
            Section("Patients", (
                Table(
                    caption="Patients by exposure",
                    columns=(Column("Patient"), Column("Score", number=True)),
                    rows=(row(cell("patient_1"), cell(0.92)),),
                ),
                Figure(Plot(Axis("Score"), Axis("Images"), (Series("used", x, y),)), "Scores"),
                Gallery((Comparison(real, synthetic, "patient_1", "distance 7.3"),), "Nearest"),
            )),
        ),
    )
    page.write(folder / "audit.html")

| part | what |
| --- | --- |
| `Callout` | a finding in a sentence, with a symbol and a word, and a few numbers |
| `Table` | sortable, with a filter; cells of text, numbers, intervals (`interval_cell`), links |
| `Matrix` | a small shaded table of counts, such as a confusion matrix |
| `Figure` | a `Plot` as inline SVG, in the page's own colours, light and dark |
| `Gallery` of `Comparison` | a real image, a synthetic one and their difference |
| `Facts`, `Points`, `Prose`, `Code` | names and values, a list, paragraphs, text to copy |
| `Details`, `Columns` | a fold, parts side by side |
| `Section`, `Page` | a heading with parts; the file |

The file needs no network: styles and script are inside, pictures are data URIs, and its content
security policy forbids everything else.
"""
