x, y, value = data.columns[:3]
table = data.pivot(index=y, columns=x, values=value).reindex(index=data[y].unique(), columns=data[x].unique())
figure, axis = plt.subplots(figsize=(6, 1 + 0.5 * len(table)))
image = axis.imshow(table, aspect="auto", cmap="Blues")
axis.set_xticks(range(len(table.columns)), table.columns.astype(str))
axis.set_yticks(range(len(table.index)), table.index.astype(str))
axis.set(xlabel=X_LABEL, ylabel=Y_LABEL)
figure.colorbar(image, label=value)
