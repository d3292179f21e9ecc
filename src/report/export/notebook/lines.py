data["panel"] = data["panel"].fillna("").astype(str)
panels = list(data["panel"].unique()) or [""]
columns = 2 if len(panels) == 4 else min(len(panels), 3)
rows = -(-len(panels) // columns)
figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.2 * rows), sharey=True, squeeze=False)
for axis, name in zip(axes.flat, panels):
    for (label, style), part in data[data["panel"] == name].groupby(["series", "style"], sort=False):
        if style == "bars":
            axis.bar(part["low"], part["y"], width=part["high"] - part["low"], align="edge", label=label)
            continue
        faint = {"alpha": 0.3, "linewidth": 0.7, "label": "_"} if style == "raw" else {"label": label}
        axis.plot(part["x"], part["y"], **faint)
        if part["low"].notna().any():
            axis.fill_between(part["x"], part["low"], part["high"], alpha=0.2)
    axis.set(title=name, xlabel=X_LABEL, ylabel=Y_LABEL, xscale="X_SCALE", yscale="Y_SCALE")
    axis.legend(fontsize=6)
for axis in axes.flat[len(panels):]:
    axis.remove()
figure.tight_layout()
