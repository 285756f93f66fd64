-- Asks exeat guard whether a request may pass (see haproxy.cfg). What cannot be
-- found out is a refusal.

local secret, check = os.getenv("CHECK_SECRET"), os.getenv("EXEAT_CHECK")

-- These belong to the connection, or are what this file says itself.
local own = { host = true, connection = true, ["content-length"] = true, ["transfer-encoding"] = true, ["x-exeat-check"] = true }

local function refuse(txn, status, code, body)
	local reply = txn:reply()
	reply:set_status(status)
	reply:add_header("Content-Type", "application/problem+json")
	reply:add_header("Cache-Control", "no-store")
	if status == 401 then
		reply:add_header("WWW-Authenticate", 'Bearer error="invalid_token", error_description="' .. code .. '"')
	end
	reply:set_body(body or '{"type":"urn:exeat:guard:' .. code .. '","title":"' .. code .. '"}\n')
	txn:done(reply)
end

core.register_action("exeat", { "http-req" }, function(txn)
	-- The body is here as a whole, or it is not read at all.
	local there, size = txn.sf:req_body_len(), txn.sf:req_body_size()
	local announced = txn.sf:req_fhdr("content-length")
	local digest = ""
	if txn.sf:req_fhdr("transfer-encoding") ~= "" or tonumber(there) ~= tonumber(size) or (announced == "" and tonumber(there) > 0) then
		return refuse(txn, 403, "body_unseen")
	end
	if announced ~= "" and tonumber(announced) ~= tonumber(there) then
		return refuse(txn, 403, "body_unseen")
	end
	if tonumber(there) > 0 then
		digest = "sha-256=:" .. txn.c:base64(txn.c:sha2(txn.sf:req_body(), 256)) .. ":"
	end

	local headers = {}
	for name, values in pairs(txn.http:req_get_headers()) do
		if not own[name] then
			headers[name] = {}
			for _, value in pairs(values) do
				table.insert(headers[name], value)
			end
		end
	end
	headers["x-exeat-check"] = { secret .. " " .. txn.sf:method() .. " " .. digest .. " " .. txn.sf:pathq() }

	local asked = core.httpclient():get({ url = check, headers = headers, timeout = 10000 })
	if asked.status == 200 then
		local key = asked.headers["authorization"]
		if key then
			txn:set_var("txn.exeat_key", key[0])
		end
		return
	end
	local code = asked.headers and asked.headers["x-exeat-code"]
	if not code or (asked.status ~= 401 and asked.status ~= 403) then
		return refuse(txn, 503, "not_checked")
	end
	return refuse(txn, asked.status, code[0], asked.body)
end)
