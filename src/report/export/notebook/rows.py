data = data.iloc[::-1]
name, value = data.columns[0], data.columns[1]
figure, axis = plt.subplots(figsize=(6, 1 + 0.4 * len(data)))
if name == "change":
    axis.errorbar(data[value], data[name], xerr=data["half-width"], fmt="o")
    axis.axvline(0, color="grey", linewidth=0.8)
else:
    axis.barh(data[name].astype(str), data[value], xerr=data["half-width"])
axis.set(xlabel=X_LABEL, xscale="X_SCALE")
figure.tight_layout()
