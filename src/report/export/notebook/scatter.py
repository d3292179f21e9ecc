data["panel"] = data["panel"].fillna("").astype(str)
x, y = data.columns[2], data.columns[3]
panels = list(data["panel"].unique()) or [""]
figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.2), sharey=True, squeeze=False)
for axis, name in zip(axes.flat, panels):
    part = data[data["panel"] == name]
    axis.errorbar(part[x], part[y], yerr=part["half-width"], fmt="o")
    axis.set(title=name, xlabel=X_LABEL, ylabel=Y_LABEL, xscale="X_SCALE", yscale="Y_SCALE")
figure.tight_layout()
